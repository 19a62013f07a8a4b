// The page that `lsm export --html` writes: draws the splats embedded in it, with no network.
// Reads #settings (JSON, see lsm_core/io/html.py) and #scene (base64 of a file of type data-type, an SPZ file).
// The frame is that of SPZ and three.js: x right, y up, z backward.
import { PerspectiveCamera, Scene, Vector3, WebGLRenderer } from "three";
import { OrbitControls } from "three/examples/jsm/controls/OrbitControls.js";
import { SparkRenderer, SplatMesh } from "@sparkjsdev/spark";

const page = document.documentElement;
const note = document.getElementById("note");
const scenePart = document.getElementById("scene");

function fail(message) {
  page.dataset.state = "failed";
  note.textContent = message;
}

function sceneBytes() {
  const text = atob(scenePart.textContent.trim());
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

async function start() {
  const settings = JSON.parse(document.getElementById("settings").textContent);
  const renderer = new WebGLRenderer({ antialias: false, canvas: document.getElementById("view") });
  renderer.setPixelRatio(window.devicePixelRatio);
  renderer.setClearColor(settings.background);

  const scene = new Scene();
  const camera = new PerspectiveCamera(60, 1, settings.near, settings.far);
  const controls = new OrbitControls(camera, renderer.domElement);
  controls.rotateSpeed = 0.4;

  // Frames are drawn when something changed, not all the time.
  let due = false;
  let quietSince = 0;
  const draw = () => {
    if (due) return;
    due = true;
    requestAnimationFrame(() => {
      due = false;
      renderer.render(scene, camera);
      page.dataset.frames = Number(page.dataset.frames || 0) + 1;
      quietSince = performance.now();
    });
  };

  // As lsm_core draws: a blur of 0.3 px^2 without compensation, 3 sigma, sorted along the optical axis.
  const spark = new SparkRenderer({
    renderer,
    onDirty: draw,
    preBlurAmount: 0.3,
    blurAmount: 0,
    maxStdDev: 3,
    minAlpha: 1 / 255,
    sortRadial: false,
    enableLod: false,
  });
  scene.add(spark);

  function home() {
    camera.up.set(0, 1, 0);
    camera.position.fromArray(settings.eye);
    controls.target.fromArray(settings.target);
    controls.update();
    draw();
  }

  function resize() {
    const [width, height] = [window.innerWidth, window.innerHeight];
    renderer.setSize(width, height);
    camera.aspect = width / height;
    // The field of view is that of the picture given; in a narrower window its width is what is kept.
    const half = Math.tan((settings.fov_y_deg * Math.PI) / 360);
    const wide = Math.max(1, settings.aspect / camera.aspect);
    camera.fov = (360 / Math.PI) * Math.atan(half * wide);
    camera.updateProjectionMatrix();
    draw();
  }

  // Steps along the picture's axes; the target moves along, so turning stays natural.
  const KEYS = { w: [0, 0, -1], s: [0, 0, 1], a: [-1, 0, 0], d: [1, 0, 0], q: [0, -1, 0], e: [0, 1, 0] };
  window.addEventListener("keydown", (event) => {
    if (event.key === "r") return home();
    const way = KEYS[event.key];
    if (!way || event.ctrlKey || event.metaKey) return;
    const length = 0.05 * camera.position.distanceTo(controls.target);
    const step = new Vector3(...way).applyQuaternion(camera.quaternion).multiplyScalar(length);
    camera.position.add(step);
    controls.target.add(step);
    controls.update();
    draw();
  });
  window.addEventListener("resize", resize);
  controls.addEventListener("change", draw);
  document.getElementById("home").addEventListener("click", home);

  const splats = new SplatMesh({ fileBytes: sceneBytes(), fileType: scenePart.dataset.type });
  await splats.initialized;
  scene.add(splats);
  resize();
  home();
  // Ready once the sorted splats are on the screen: nothing was redrawn for a while.
  const watch = setInterval(() => {
    if (quietSince && !due && performance.now() - quietSince > 300) {
      clearInterval(watch);
      page.dataset.state = "ready";
      note.textContent = "";
    }
  }, 50);
}

window.addEventListener("error", (event) => fail(`Error: ${event.message}`));
window.addEventListener("unhandledrejection", (event) => fail(`Error: ${event.reason}`));
start().catch((error) => fail(`This page needs WebGL 2 (${error.message || error}).`));
