import { IsIn, IsOptional } from 'class-validator';
import type { Instant } from '#core/kernel/instant.js';
import { IsInstant, IsPlainText } from '#core/platform/http/validators.js';
import {
  ERASURE_GROUNDS,
  type ErasureGround,
  REFUSAL_REASONS,
  type RefusalReason,
} from '../domain/erasure.events.js';

export class ErasureBody {
  /** Art. 17(1)(a) to (f). */
  @IsIn(ERASURE_GROUNDS)
  ground!: ErasureGround;

  @IsOptional()
  @IsPlainText(2_000)
  note?: string;

  @IsOptional()
  @IsInstant()
  receivedAt?: Instant;
}

export class RefusalBody {
  /** Art. 17(3)(a) to (e). */
  @IsIn(REFUSAL_REASONS)
  reason!: RefusalReason;

  @IsOptional()
  @IsPlainText(2_000)
  note?: string;
}
