/** Every text of the app, by language and area. */
import enApp from "./en/app.json";
import enCameras from "./en/cameras.json";
import enLive from "./en/live.json";
import enPlayback from "./en/playback.json";
import enSystem from "./en/system.json";
import ptApp from "./pt-BR/app.json";
import ptCameras from "./pt-BR/cameras.json";
import ptLive from "./pt-BR/live.json";
import ptPlayback from "./pt-BR/playback.json";
import ptSystem from "./pt-BR/system.json";

export const catalogs = {
  en: { app: enApp, live: enLive, playback: enPlayback, cameras: enCameras, system: enSystem },
  "pt-BR": { app: ptApp, live: ptLive, playback: ptPlayback, cameras: ptCameras, system: ptSystem },
} as const;
