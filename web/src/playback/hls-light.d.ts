/** hls.js ships types for its full build alone; the light one leaves out what fMP4 recordings do not use. */
declare module "hls.js/light" {
  export * from "hls.js";
  export { default } from "hls.js";
}
