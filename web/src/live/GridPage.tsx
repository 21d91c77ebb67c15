/** The wall of live cameras. */
import { Button, Center, Loader } from "@mantine/core";
import { useElementSize, useMediaQuery, useMergedRef } from "@mantine/hooks";
import { IconCameraPlus } from "@tabler/icons-react";
import { type KeyboardEvent, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { Link, useSearchParams } from "react-router";

import { useCameras } from "../api/queries";
import { EmptyState } from "../app/EmptyState";
import { toggleFullscreen } from "../app/fullscreen";
import { HeaderTools } from "../app/HeaderTools";
import { useShortcuts } from "../app/shortcuts";
import { useTitle } from "../app/useTitle";
import { arrange, isLayout, type Layout, neighbour, pageCount, perPage } from "./gridLayout";
import { GridToolbar } from "./GridToolbar";
import { LiveTile } from "./LiveTile";
import classes from "./live.module.css";

const GAP_PX = 6;
const LAYOUT_KEY = "vms.layout";

/** Layout and page live in the address, so that a wall screen can be set up by a link. */
function useWall(cameras: number) {
  const [params, setParams] = useSearchParams();
  const asked = params.get("layout") ?? localStorage.getItem(LAYOUT_KEY);
  const layout: Layout = isLayout(asked) ? asked : "auto";
  const pages = pageCount(cameras, layout);
  const page = Math.min(pages, Math.max(1, Number(params.get("page")) || 1));
  const set = (nextLayout: Layout, nextPage: number) => {
    localStorage.setItem(LAYOUT_KEY, nextLayout);
    setParams({ layout: nextLayout, page: String(nextPage) }, { replace: true });
  };
  return { layout, page, pages, set };
}

export function GridPage() {
  const { t } = useTranslation("live");
  useTitle(t("title"));
  const { cameras, loading } = useCameras();
  const wallRef = useRef<HTMLDivElement>(null);
  const { ref: sizeRef, width, height } = useElementSize<HTMLDivElement>();
  const wall = useMergedRef(wallRef, sizeRef);
  const [focused, setFocused] = useState(0);
  const inHeader = useMediaQuery("(min-width: 62em)", true, { getInitialValueInEffect: false });
  const { layout, page, pages, set } = useWall(cameras.length);

  const first = (page - 1) * perPage(layout);
  const shown = cameras.slice(first, first + perPage(layout));
  const grid = arrange(layout, shown.length, width - 2 * GAP_PX, height - 2 * GAP_PX, GAP_PX);
  const current = Math.min(focused, Math.max(0, shown.length - 1));

  const fullscreen = () => toggleFullscreen(wallRef.current);
  const turn = (by: number) => set(layout, Math.min(pages, Math.max(1, page + by)));
  useShortcuts({
    f: fullscreen,
    PageDown: () => turn(1),
    PageUp: () => turn(-1),
    "0": () => set("auto", 1),
    "1": () => set("1", 1),
    "4": () => set("4", 1),
    "9": () => set("9", 1),
  });

  const onKeyDown = (event: KeyboardEvent<HTMLDivElement>) => {
    const next = neighbour(event.key, current, shown.length, grid.columns);
    if (next === current) return;
    event.preventDefault();
    setFocused(next);
    event.currentTarget.querySelectorAll<HTMLElement>("article")[next]?.focus();
  };

  const toolbar = (
    <GridToolbar
      layout={layout}
      onLayout={(value) => set(value, 1)}
      page={page}
      pages={pages}
      onPage={(value) => set(layout, value)}
      onFullscreen={fullscreen}
    />
  );

  if (loading) {
    return (
      <Center h="100%">
        <Loader aria-label={t("loading")} />
      </Center>
    );
  }
  if (cameras.length === 0) {
    return (
      <EmptyState icon={IconCameraPlus} title={t("empty.title")} text={t("empty.text")}>
        <Button component={Link} to="/cameras?add" leftSection={<IconCameraPlus size={18} />}>
          {t("empty.action")}
        </Button>
      </EmptyState>
    );
  }
  return (
    <div className={classes.page}>
      {inHeader ? <HeaderTools>{toolbar}</HeaderTools> : <div className={classes.toolbar}>{toolbar}</div>}
      <div ref={wall} className={classes.wall}>
        {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-element-interactions -- arrow keys move between tiles */}
        <section
          className={classes.grid}
          aria-label={t("title")}
          onKeyDown={onKeyDown}
          style={{
            gridTemplateColumns: `repeat(${grid.columns}, ${grid.tileWidthPx}px)`,
            gridAutoRows: `${grid.tileHeightPx}px`,
          }}
        >
          {width > 0 &&
            shown.map((camera, index) => (
              <LiveTile
                key={camera.id}
                camera={camera}
                tabIndex={index === current ? 0 : -1}
                onFocus={() => setFocused(index)}
              />
            ))}
        </section>
      </div>
    </div>
  );
}
