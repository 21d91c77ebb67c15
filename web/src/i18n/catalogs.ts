/** Every text of the app, by language and area. */
import enApp from "./en/app.json";
import enBookmarks from "./en/bookmarks.json";
import enCameras from "./en/cameras.json";
import enEvidence from "./en/evidence.json";
import enExports from "./en/exports.json";
import enLive from "./en/live.json";
import enPlayback from "./en/playback.json";
import enStorage from "./en/storage.json";
import enSystem from "./en/system.json";
import ptApp from "./pt-BR/app.json";
import ptBookmarks from "./pt-BR/bookmarks.json";
import ptCameras from "./pt-BR/cameras.json";
import ptEvidence from "./pt-BR/evidence.json";
import ptExports from "./pt-BR/exports.json";
import ptLive from "./pt-BR/live.json";
import ptPlayback from "./pt-BR/playback.json";
import ptStorage from "./pt-BR/storage.json";
import ptSystem from "./pt-BR/system.json";

export const catalogs = {
  en: {
    app: enApp,
    bookmarks: enBookmarks,
    cameras: enCameras,
    evidence: enEvidence,
    exports: enExports,
    live: enLive,
    playback: enPlayback,
    storage: enStorage,
    system: enSystem,
  },
  "pt-BR": {
    app: ptApp,
    bookmarks: ptBookmarks,
    cameras: ptCameras,
    evidence: ptEvidence,
    exports: ptExports,
    live: ptLive,
    playback: ptPlayback,
    storage: ptStorage,
    system: ptSystem,
  },
} as const;
