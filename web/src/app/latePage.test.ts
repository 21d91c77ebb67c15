import { expect, test, vi } from "vitest";

import { patiently } from "./latePage";

test("a page whose code does not come is asked for again", async () => {
  const load = vi.fn<() => Promise<string>>().mockRejectedValueOnce(new TypeError("failed to fetch")).mockResolvedValue("page");
  expect(await patiently(load, 0)).toBe("page");
  expect(load).toHaveBeenCalledTimes(2);
});

test("one that never comes fails in the end", async () => {
  await expect(patiently(() => Promise.reject(new TypeError("gone")), 0)).rejects.toThrow("gone");
});
