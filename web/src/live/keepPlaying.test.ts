// @vitest-environment jsdom
import { expect, test, vi } from "vitest";

import { keepPlaying } from "./keepPlaying";

function pausedVideo() {
  const video = document.createElement("video");
  const play = vi.spyOn(video, "play").mockImplementation(() => Promise.resolve());
  return { video, play };
}

test("a video that the browser has paused plays on, at once and when the page comes back", () => {
  const { video, play } = pausedVideo();
  keepPlaying(video);
  video.dispatchEvent(new Event("pause"));
  expect(play).toHaveBeenCalledTimes(1);
  document.dispatchEvent(new Event("visibilitychange"));
  document.dispatchEvent(new Event("resume"));
  expect(play).toHaveBeenCalledTimes(3);
});

test("one that plays is left alone, and so is one that nobody watches any more", () => {
  const { video, play } = pausedVideo();
  const letPause = keepPlaying(video);
  vi.spyOn(video, "paused", "get").mockReturnValue(false);
  document.dispatchEvent(new Event("visibilitychange"));
  letPause();
  vi.spyOn(video, "paused", "get").mockReturnValue(true);
  video.dispatchEvent(new Event("pause"));
  expect(play).not.toHaveBeenCalled();
});
