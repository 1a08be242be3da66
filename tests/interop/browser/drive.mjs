// Opens the page in a headless Chromium and passes commands to it: one JSON object a line from
// standard input, what happened on standard output.
//
//   node drive.mjs CHROMIUM ORIGIN
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import puppeteer from "puppeteer-core";

const [chromium, origin] = process.argv.slice(2);
const bundle = await build({
  entryPoints: [fileURLToPath(new URL("page.js", import.meta.url))],
  bundle: true, write: false, format: "iife", logLevel: "error",
});
const browser = await puppeteer.launch({
  executablePath: chromium,
  args: [
    "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--ignore-certificate-errors",
    "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-domain-reliability", "--no-first-run", "--no-pings",
  ],
});
const page = await browser.newPage();
page.on("console", (message) => console.log("page:", message.text()));
page.on("pageerror", (error) => console.log("page error:", error));
// The page itself comes from nowhere: only its origin matters.
await page.setRequestInterception(true);
page.on("request", (request) => {
  if (request.url() === `${origin}/`) {
    request.respond({ contentType: "text/html", body: "<!doctype html><title>phone</title>" });
  } else {
    request.abort();
  }
});
await page.exposeFunction("report", (...words) => console.log("event", ...words));
await page.goto(`${origin}/`);
await page.addScriptTag({ content: bundle.outputFiles[0].text });
console.log("ready");

for await (const line of createInterface({ input: process.stdin })) {
  const { does, ...what } = JSON.parse(line);
  await page.evaluate((does, what) => { window.phone[does](what); }, does, what);
}
await browser.close();
