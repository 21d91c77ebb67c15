/**
 * When sound is to be heard, so that it goes with the pictures and without breaks. Pure.
 *
 * Pictures are shown as soon as they are decoded. Sound waits until the pictures of its moment are shown, and long
 * enough for what comes a little late; then it goes on by its own timestamps, and is moved only when that has become
 * noticeable.
 */

/** From a decoded picture to the screen it takes less than from a piece of sound to the loudspeaker; by so much. */
const SOUND_TAKES_LONGER_MS = 40;
/** Later than that it would be no live view. */
const MAX_DELAY_MS = 1_000;
/** Of the newest, in the means; there are 25 to 50 a second. */
const WEIGHT = 1 / 8;
const DEVIATIONS = 3;
/** Sound that is so far from where it should be is moved there: less than is noticed beside a picture. */
export const TOLERANCE_S = 0.05;
/** Nothing can be begun sooner. */
export const AHEAD_S = 0.005;

/** A mean in which the newest counts most, and how far from it they usually are. */
class Mean {
  private value = Number.NaN;
  private deviation = 0;

  note(value: number): void {
    if (!Number.isFinite(value)) return;
    if (Number.isNaN(this.value)) this.value = value;
    this.deviation += WEIGHT * (Math.abs(value - this.value) - this.deviation);
    this.value += WEIGHT * (value - this.value);
  }

  /** As much as few are above, by that many usual deviations. */
  above(deviations: number): number {
    return Number.isNaN(this.value) ? 0 : this.value + deviations * this.deviation;
  }
}

/** How long after its capture sound is heard. */
export class SoundDelay {
  private readonly pictures = new Mean();
  private readonly sound = new Mean();

  /** A picture is shown now that was captured so long ago. */
  notePicture(ageMs: number): void {
    this.pictures.note(ageMs);
  }

  /** Sound is decoded now whose first moment was captured so long ago. */
  noteSound(ageMs: number): void {
    this.sound.note(ageMs);
  }

  get ms(): number {
    const withPictures = this.pictures.above(0) - SOUND_TAKES_LONGER_MS;
    const inTime = this.sound.above(DEVIATIONS) + AHEAD_S * 1_000;
    return Math.min(Math.max(withPictures, inTime), MAX_DELAY_MS);
  }
}

export class SoundPlace {
  /** Pieces of sound that came when their time was over. */
  late = 0;
  private anchor: { timestampS: number; atS: number } | null = null;

  /**
   * Where on the time line of what plays it a piece of sound goes; null: nowhere, it is late. timestampS: on the line of
   * its stream. targetS: where it should be heard. nowS: where that time line is.
   */
  place(timestampS: number, targetS: number, nowS: number): number | null {
    const earliestS = nowS + AHEAD_S;
    let atS = this.anchor === null ? Number.NaN : this.anchor.atS + timestampS - this.anchor.timestampS;
    const isOff = !(Math.abs(atS - targetS) <= TOLERANCE_S);
    if (isOff || (atS < earliestS && targetS >= earliestS)) {
      this.anchor = { timestampS, atS: targetS };
      atS = targetS;
    }
    if (atS >= earliestS) return atS;
    this.late += 1;
    return null;
  }

  /** What comes next does not follow on what came. */
  begin(): void {
    this.anchor = null;
  }
}
