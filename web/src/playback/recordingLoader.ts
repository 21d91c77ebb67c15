/** hls.js's own loader, with sound hidden that the browser cannot play (silence.ts). */
import Hls, {
  type FragmentLoaderConstructor,
  type FragmentLoaderContext,
  type HlsConfig,
  type Loader,
  type LoaderCallbacks,
  type LoaderConfiguration,
} from "hls.js/light";

import { Silencer } from "./silence";

type FragmentLoader = new (config: HlsConfig) => Loader<FragmentLoaderContext>;

/** A loader class for one player; what it knows of files is shared by its loads. */
export function recordingLoader(): FragmentLoaderConstructor {
  const silencer = new Silencer();
  const Base = Hls.DefaultConfig.loader as FragmentLoader;
  return class extends Base {
    override load(
      context: FragmentLoaderContext,
      config: LoaderConfiguration,
      callbacks: LoaderCallbacks<FragmentLoaderContext>,
    ): void {
      super.load(context, config, {
        ...callbacks,
        onSuccess: (response, stats, loaded, details) => {
          if (response.data instanceof ArrayBuffer) silencer.patch(context.url, response.data);
          callbacks.onSuccess(response, stats, loaded, details);
        },
      });
    }
  };
}
