import { expect, test } from "vitest";

import { JUMP_AFTER_MS, MAX_WAITING, type Picture, PictureOrder } from "./pictureOrder";

const known = () => true;
const delta = (sequenceNumber: number): Picture => ({ generation: 1, sequenceNumber, key: false, afresh: false });
const key = (sequenceNumber: number, afresh = false): Picture => ({ generation: 1, sequenceNumber, key: true, afresh });

function numbers(order: PictureOrder<Picture>, nowMs = 0): number[] {
  return order.ready(nowMs).map(({ sequenceNumber }) => sequenceNumber);
}

function fed(...pictures: Picture[]): PictureOrder<Picture> {
  const order = new PictureOrder<Picture>(known);
  for (const picture of pictures) order.add(picture, 0);
  return order;
}

test("pictures that overtake each other are decoded in order", () => {
  const order = fed(delta(2), delta(1), key(0, true), delta(3));
  expect(numbers(order)).toEqual([0, 1, 2, 3]);
  expect(order.skipped).toBe(0);
});

test("a missing picture is waited for, as long as nothing newer can be shown without it", () => {
  const order = fed(key(0, true), delta(2));
  expect(numbers(order)).toEqual([0]);
  expect(numbers(order, 10_000)).toEqual([]);
  order.add(delta(1), 10_000);
  expect(numbers(order, 10_000)).toEqual([1, 2]);
});

test("a key picture that waited for missing ones goes on without them after a while", () => {
  const order = fed(key(0, true), delta(2));
  expect(numbers(order)).toEqual([0]);
  order.add(key(3), 50);
  order.add(delta(4), 50);
  expect(numbers(order, 50 + JUMP_AFTER_MS - 1)).toEqual([]);
  expect(numbers(order, 50 + JUMP_AFTER_MS)).toEqual([3, 4]);
  expect(order.skipped).toBe(1);
});

test("a key picture that begins afresh is shown at once, and what comes late is left out", () => {
  const order = fed(key(0, true), delta(2));
  numbers(order);
  order.add(key(5, true), 0);
  expect(numbers(order)).toEqual([5]);
  order.add(delta(1), 0);
  expect(numbers(order)).toEqual([]);
  expect(order.skipped).toBe(2);
});

test("pictures wait for the config that they are decoded by", () => {
  const configs = new Set([1]);
  const order = new PictureOrder<Picture>((generation) => configs.has(generation));
  order.add(key(0, true), 0);
  order.add({ ...key(1), generation: 2 }, 0);
  expect(numbers(order)).toEqual([0]);
  configs.add(2);
  expect(numbers(order)).toEqual([1]);
});

test("a viewer that joined in the middle begins with a key picture", () => {
  const order = fed(delta(7), key(8));
  expect(numbers(order)).toEqual([]);
  expect(numbers(order, JUMP_AFTER_MS)).toEqual([8]);
});

test("what waits is bounded", () => {
  const order = fed(key(0, true));
  numbers(order);
  for (let number = 2; number < 3 * MAX_WAITING; number += 1) order.add(delta(number), 0);
  order.add(key(3 * MAX_WAITING), 0);
  order.add(delta(3 * MAX_WAITING + 1), 0);
  expect(order.skipped).toBeGreaterThan(MAX_WAITING);
  expect(numbers(order, JUMP_AFTER_MS)).toEqual([3 * MAX_WAITING, 3 * MAX_WAITING + 1]);
});
