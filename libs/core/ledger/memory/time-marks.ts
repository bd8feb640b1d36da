import type { Instant } from '#core/kernel/instant.js';
import { comparePositions, type Position } from '#core/kernel/position.js';
import type { TimeMark, TimeMarks } from '../time-marks.js';

/** Marks for as long as the process lives. */
export class MemoryTimeMarks implements TimeMarks {
  private marks: TimeMark[] = [];

  async atTime(instant: Instant): Promise<TimeMark | undefined> {
    return this.marks.findLast(({ time }) => time <= instant);
  }

  async atPosition(position: Position): Promise<TimeMark | undefined> {
    return this.marks.findLast((mark) => comparePositions(mark.position, position) <= 0);
  }

  async last(): Promise<TimeMark | undefined> {
    return this.marks.at(-1);
  }

  async add(mark: TimeMark): Promise<void> {
    if (this.marks.some(({ position }) => position === mark.position)) return;
    this.marks.push(mark);
    this.marks.sort((a, b) => comparePositions(a.position, b.position));
  }

  async clear(): Promise<void> {
    this.marks = [];
  }
}
