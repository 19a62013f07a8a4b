// Bundles main.js with three.js and Spark into the one script that exported pages carry.
// Usage, in this folder: npm ci && npm run build
import { readFileSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

const OUT = "../../src/lsm_core/assets/viewer";
const PACKAGES = ["three", "@sparkjsdev/spark", "fflate"];

const notices = PACKAGES.map((name) => {
  const folder = `node_modules/${name}`;
  const { version, license } = JSON.parse(readFileSync(`${folder}/package.json`, "utf8"));
  const text = readFileSync(`${folder}/LICENSE`, "utf8").trim();
  return `${name} ${version} (${license})\n\n${text}\n`;
}).join("\n----------------------------------------\n\n");

await build({
  entryPoints: ["main.js"],
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2022",
  charset: "ascii", // the page stays readable whatever encoding is guessed
  legalComments: "none", // the notices stand in the banner, complete
  banner: { js: `/*! Bundled libraries and their licences:\n\n${notices.replaceAll("\u00a9", "(c)")}*/` },
  outfile: `${OUT}/viewer.js`,
});
writeFileSync(`${OUT}/LICENSES.txt`, `viewer.js contains these libraries, unchanged but for bundling:\n\n${notices}`);
