// @vitest-environment jsdom
import { renderHook } from "@testing-library/react";
import { act } from "react";
import { beforeEach, expect, test, vi } from "vitest";

beforeEach(() => {
  localStorage.clear();
  vi.resetModules();
});
const load = () => import("./zoneChoice");

test("times are the viewer's until the site's are chosen, which is remembered", async () => {
  const first = await load();
  const { result } = renderHook(() => first.useZones());
  act(() => first.setSite("Plant", "Asia/Kolkata"));
  expect(result.current.shown).toBe("America/Sao_Paulo");
  act(() => first.setZoneChoice("site"));
  expect(result.current.shown).toBe("Asia/Kolkata");

  vi.resetModules();
  const later = await load();
  const again = renderHook(() => later.useZones());
  expect(again.result.current.shown).toBe("America/Sao_Paulo"); // the site is not known yet
  act(() => later.setSite("Plant", "Asia/Kolkata"));
  expect(again.result.current.shown).toBe("Asia/Kolkata");
});

test("a zone that this browser does not know leaves times the viewer's", async () => {
  const { setSite, setZoneChoice, useZones } = await load();
  const { result } = renderHook(() => useZones());
  act(() => {
    setZoneChoice("site");
    setSite("Plant", "Mars/Olympus_Mons");
  });
  expect(result.current).toMatchObject({ shown: "America/Sao_Paulo", site: null });
});
