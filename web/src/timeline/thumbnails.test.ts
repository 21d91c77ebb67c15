import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { REST_MS, type Thumbnail, Thumbnails } from "./thumbnails";

interface Question {
  ms: number;
  aborted: boolean;
  answer: (found: Thumbnail | null) => void;
  fail: () => void;
}

let questions: Question[] = [];
let released: string[] = [];
const source = (ms: number, signal: AbortSignal) =>
  new Promise<Thumbnail | null>((resolve, reject) => {
    const question: Question = { ms, aborted: false, answer: resolve, fail: () => reject(new Error("away")) };
    signal.addEventListener("abort", () => {
      question.aborted = true;
      reject(new DOMException("", "AbortError"));
    });
    questions.push(question);
  });
const made = () => new Thumbnails(source, (address) => released.push(address), Date.now);
const picture = (pictureMs: number): Thumbnail => ({ pictureMs, address: `blob:${pictureMs}` });
const settle = () => vi.advanceTimersByTimeAsync(0);

beforeEach(() => {
  vi.useFakeTimers();
  questions = [];
  released = [];
});
afterEach(() => vi.useRealTimers());

test("a pointer on the move asks once it has rested, for where it is by then", async () => {
  const thumbnails = made();
  for (const ms of [1000, 2000, 3000]) thumbnails.want(ms);
  await vi.advanceTimersByTimeAsync(REST_MS);
  expect(questions.map(({ ms }) => ms)).toEqual([3000]);
});

test("at most two are asked for at a time, and the oldest gives way to the newest", async () => {
  const thumbnails = made();
  for (const ms of [1000, 2000, 3000]) {
    thumbnails.want(ms);
    await vi.advanceTimersByTimeAsync(REST_MS);
  }
  expect(questions.map(({ ms, aborted }) => [ms, aborted])).toEqual([[1000, true], [2000, false], [3000, false]]);
});

test("a picture stands for all times from its own to the one asked for, and for no other", async () => {
  const thumbnails = made();
  thumbnails.want(5000);
  await vi.advanceTimersByTimeAsync(REST_MS);
  questions[0]?.answer(picture(4000));
  await settle();
  expect([3999, 4000, 4500, 5000, 5001].map((ms) => thumbnails.at(ms)?.pictureMs ?? null)).toEqual([null, 4000, 4000, 4000, null]);
  thumbnails.want(4500);
  await vi.advanceTimersByTimeAsync(REST_MS);
  expect(questions).toHaveLength(1);
});

test("the same picture for a later time stands for longer, and its second copy is let go", async () => {
  const thumbnails = made();
  for (const ms of [5000, 5500]) {
    thumbnails.want(ms);
    await vi.advanceTimersByTimeAsync(REST_MS);
    questions.at(-1)?.answer({ pictureMs: 4000, address: `blob:${ms}` });
    await settle();
  }
  expect(thumbnails.at(5400)).toMatchObject({ address: "blob:5000" });
  expect(released).toEqual(["blob:5500"]);
});

test("a picture from after the time that was asked for is not passed off as one of it", async () => {
  const thumbnails = made();
  thumbnails.want(5000);
  await vi.advanceTimersByTimeAsync(REST_MS);
  questions[0]?.answer(picture(6000));
  await settle();
  expect(thumbnails.at(5000)).toBeNull();
  expect(thumbnails.nearest(5000, 2000)?.pictureMs).toBe(6000);
});

test("the nearest picture stands in within reach alone", async () => {
  const thumbnails = made();
  thumbnails.want(5000);
  await vi.advanceTimersByTimeAsync(REST_MS);
  questions[0]?.answer(picture(4000));
  await settle();
  expect(thumbnails.nearest(9000, 6000)?.pictureMs).toBe(4000);
  expect(thumbnails.nearest(99_000, 6000)).toBeNull();
});

test("where there is none, it is not asked again at once, but later", async () => {
  const thumbnails = made();
  thumbnails.want(5000);
  await vi.advanceTimersByTimeAsync(REST_MS);
  questions[0]?.answer(null);
  await settle();
  thumbnails.want(5000);
  await vi.advanceTimersByTimeAsync(REST_MS);
  expect(questions).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(5_000);
  thumbnails.want(5000);
  await vi.advanceTimersByTimeAsync(REST_MS);
  expect(questions).toHaveLength(2);
});

test("an answer is followed by the question for where the pointer went meanwhile", async () => {
  const thumbnails = made();
  thumbnails.want(5000);
  await vi.advanceTimersByTimeAsync(REST_MS);
  thumbnails.want(8000);
  questions[0]?.answer(picture(4000));
  await settle();
  expect(questions.map(({ ms }) => ms)).toEqual([5000, 8000]);
});

test("nothing is asked for once the pointer has left", async () => {
  const thumbnails = made();
  thumbnails.want(5000);
  thumbnails.forget();
  await vi.advanceTimersByTimeAsync(REST_MS);
  expect(questions).toEqual([]);
});

test("only so many pictures are kept, those that were seen last", async () => {
  const thumbnails = made();
  for (let n = 0; n < 202; n += 1) {
    thumbnails.want(n * 1000);
    await vi.advanceTimersByTimeAsync(REST_MS);
    questions.at(-1)?.answer(picture(n * 1000));
    await settle();
    thumbnails.at(0);
  }
  expect(released).toEqual(["blob:1000", "blob:2000"]);
  expect(thumbnails.at(0)).not.toBeNull();
});
