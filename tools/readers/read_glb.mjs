// Loads a .glb with Babylon.js' own KHR_gaussian_splatting loader and prints what it made of it, as JSON:
// rows of 32 bytes per Gaussian (position, linear scale, RGBA, rotation wxyz) and SH bytes, both in base64.
// Usage: node read_glb.mjs FILE.glb
import { readFileSync } from "node:fs";
import { NullEngine } from "@babylonjs/core/Engines/nullEngine.js";
import { GaussianSplattingMesh } from "@babylonjs/core/Meshes/GaussianSplatting/gaussianSplattingMesh.js";
import { ImportMeshAsync } from "@babylonjs/core/Loading/sceneLoader.js";
import { Scene } from "@babylonjs/core/scene.js";
import "@babylonjs/loaders/glTF/2.0/index.js";

const base64 = (part) => Buffer.from(part.buffer ?? part, part.byteOffset ?? 0, part.byteLength).toString("base64");
let found = null;
GaussianSplattingMesh.prototype.updateDataAsync = async function (data, sh, _options, degree) {
  found = { rows: base64(data), sh: (sh ?? []).map(base64), degree: degree ?? 0 };
};
const scene = new Scene(new NullEngine());
const bytes = new Uint8Array(readFileSync(process.argv[2]));
await ImportMeshAsync(bytes, scene, { pluginExtension: ".glb" });
console.log(JSON.stringify(found));
process.exit(0);
