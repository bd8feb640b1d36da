/** What stands in the way of checking at all. */
export class Unusable extends Error {}

/** What was checked, a line each; what throws does not hold, whatever it was that it threw. */
export class Report {
  holds = true;

  constructor(print = (line) => console.log(line)) {
    this.print = print;
  }

  /** `look` gives the words for what holds, or `[words, value]` where something goes on from there. */
  async check(name, look) {
    try {
      const [words, value] = [await look()].flat(1);
      this.print(`holds      ${name.padEnd(12)} ${words}`);
      return value;
    } catch (error) {
      if (error instanceof Unusable) throw error;
      this.holds = false;
      this.print(`FAILS      ${name.padEnd(12)} ${error.message}`);
      return undefined;
    }
  }

  /** What nobody could check by this, said so that its absence is no surprise. */
  notShown(name, why) {
    this.print(`not shown  ${name.padEnd(12)} ${why}`);
  }
}
