"""A small recording of a wall, written exactly in each layout that the readers know."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial.transform import Rotation

WIDTH, HEIGHT, DISTANCE_M = 64, 48, 2.5
K = np.array([[50.0, 0, 31.5], [0, 50.0, 23.5], [0, 0, 1]])
GL = np.diag([1.0, -1.0, -1.0, 1.0])
LABEL = 7  # of the right half; the left one is 0


@dataclass(frozen=True)
class Recording:
    """N frames that look at a textured wall, moved sideways by 0.1 m each."""

    images: list[NDArray[np.uint8]]
    depth: list[NDArray[np.uint16]]  # millimetres
    labels: NDArray[np.uint8]
    poses: NDArray[np.float64]  # [N, 4, 4] T_world_cam

    def __len__(self) -> int:
        return len(self.images)


def record(frames: int = 6, width: int = WIDTH, height: int = HEIGHT, step_m: float = 0.1) -> Recording:
    """Photograph the wall; a texture cell has 4x4 pixels."""
    rng = np.random.default_rng(0)
    shift = round(step_m * K[0, 0] / DISTANCE_M * width / WIDTH)
    cells = rng.integers(0, 255, (height // 4 + 1, (width + frames * shift) // 4 + 1, 3), dtype=np.uint8)
    wall = cells.repeat(4, axis=0).repeat(4, axis=1)[:height]
    T = np.tile(np.eye(4), (frames, 1, 1))
    T[:, 0, 3] = np.arange(frames) * step_m
    label = np.zeros((height, width), np.uint8)
    label[:, width // 2 :] = LABEL
    depth = np.full((height, width), round(DISTANCE_M * 1000), np.uint16)
    depth[0, 0], depth[0, 1] = 0, 65535
    return Recording([wall[:, i * shift : i * shift + width] for i in range(frames)], [depth] * frames, label, T)


def put(path: Path, image: NDArray[np.uint8] | NDArray[np.uint16]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix.lower() in (".jpg", ".jpeg"):
        Image.fromarray(image).save(path, quality=95, subsampling=0)
    else:
        Image.fromarray(image).save(path)


def put_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def put_matrix(path: Path, matrix: NDArray[np.float64]) -> None:
    put_text(path, "\n".join(" ".join(f"{v:.8f}" for v in row) for row in matrix) + "\n")


def scannet_lsm(root: Path, r: Recording) -> None:
    scene = root / "scene0000_00"
    for i in range(len(r)):
        put(scene / "color" / f"{i:06d}.png", r.images[i])
        put(scene / "depth" / f"{i:06d}.png", r.depth[i])
        (scene / "pose").mkdir(exist_ok=True)
        np.savez(scene / "pose" / f"{i:06d}.npz", camera_intrinsics=K.astype(np.float32), camera_pose=r.poses[i])


def scannet_lsm_test(root: Path, r: Recording) -> None:
    names = [f"{20 * i:05d}" for i in range(len(r))]
    for i, name in enumerate(names):
        scene = root / "scene0686_01"
        put(scene / "images" / f"{name}.jpg", r.images[i])
        np.savez(scene / "images" / f"{name}.npz", camera_intrinsics=K, camera_pose=r.poses[i])
        put(scene / "depths" / f"{name}.png", r.depth[i])
        put(scene / "labels" / f"{name}.png", r.labels.astype(np.uint16))
    put_text(root / "selected_seqs_test.json", json.dumps({"scene0686_01": names, "scene0696_02": ["00000"]}))
    put_text(
        root / "scannetv2-labels.combined.tsv", f"id\tcategory\tnyu40class\n1\twall\twall\n{LABEL}\tstool\tchair\n"
    )


def scannet_export(root: Path, r: Recording) -> None:
    scene = root / "scene0001_00"
    for i in range(len(r)):
        put(scene / "color" / f"{i}.jpg", r.images[i])
        put(scene / "depth" / f"{i}.png", r.depth[i])
        put_matrix(scene / "pose" / f"{i}.txt", r.poses[i])
    wide = np.eye(4)
    wide[:3, :3] = K * [[10], [10], [1]]  # of 640x480
    put_matrix(scene / "intrinsic" / "intrinsic_depth.txt", wide)


def scannetpp_lsm(root: Path, r: Recording) -> None:
    dslr = root / "fb564c935d" / "dslr"
    for i in range(len(r)):
        put(dslr / "rgb_resized_undistorted" / f"DSC{i:05d}.JPG", r.images[i])
        put(dslr / "render_depth" / f"DSC{i:05d}.png", r.depth[i])
        (dslr / "camera").mkdir(exist_ok=True)
        np.savez(dslr / "camera" / f"DSC{i:05d}.npz", intrinsic=K, extrinsic=r.poses[i])


def scannetpp_splatt3r(root: Path, r: Recording) -> None:
    raw, processed = root / "raw" / "data" / "aaaa000000" / "dslr", root / "processed" / "aaaa000000" / "dslr"
    names = [f"DSC{i:05d}.JPG" for i in range(len(r))]
    for name, image, depth in zip(names, r.images, r.depth, strict=True):
        put(processed / "undistorted_images" / name, image)
        put(processed / "undistorted_depths" / name.replace("JPG", "png"), depth)
    frames = [
        {"file_path": n, "transform_matrix": (GL @ T @ GL).tolist()} for n, T in zip(names, r.poses, strict=True)
    ]
    camera = {"fl_x": K[0, 0], "fl_y": K[1, 1], "cx": K[0, 2], "cy": K[1, 2], "frames": frames[::-1]}
    put_text(processed / "nerfstudio" / "transforms_undistorted.json", json.dumps(camera))
    marks = [{"file_path": n, "is_bad": i == 1} for i, n in enumerate(names)]
    put_text(raw / "nerfstudio" / "transforms.json", json.dumps({"frames": marks}))
    put_text(raw / "train_test_lists.json", json.dumps({"train": names, "test": []}))
    put_text(root / "raw" / "splits" / "nvs_sem_train.txt", "aaaa000000\n303745abc7\n")


def chunk_entry(key: str, r: Recording) -> dict[str, object]:
    """One scene as a chunk holds it."""
    cameras = np.zeros((len(r), 18), np.float32)
    cameras[:, :4] = 50 / WIDTH, 50 / HEIGHT, 0.5, 0.5
    cameras[:, 6:] = np.linalg.inv(r.poses)[:, :3].reshape(len(r), 12)
    images = []
    for image in r.images:
        packed = io.BytesIO()
        Image.fromarray(image).save(packed, "JPEG", quality=95, subsampling=0)
        images.append(torch.frombuffer(bytearray(packed.getvalue()), dtype=torch.uint8))
    stamps = torch.arange(len(r), dtype=torch.int64) * 33_333
    return {"key": key, "url": "", "timestamps": stamps, "cameras": torch.from_numpy(cameras), "images": images}


def torch_chunks(root: Path, r: Recording) -> None:
    for split, keys in (("train", ("00a5a09fc8cd6b8a", "000db54a47bd43fe")), ("test", ("5aca87f95a9412c6",))):
        (root / split).mkdir(parents=True, exist_ok=True)
        torch.save([chunk_entry(key, r) for key in keys], root / split / "000000.torch")
        put_text(root / split / "index.json", json.dumps(dict.fromkeys(keys, "000000.torch")))


def seven_scenes(root: Path, r: Recording) -> None:
    sequence = root / "chess" / "seq-01"
    for i in range(len(r)):
        put(sequence / f"frame-{i:06d}.color.png", r.images[i])
        put(sequence / f"frame-{i:06d}.depth.png", r.depth[i])
        put_matrix(sequence / f"frame-{i:06d}.pose.txt", r.poses[i])
    put_text(root / "chess" / "TrainSplit.txt", "sequence1\n")
    put_text(root / "chess" / "K.txt", "50 50 31.5 23.5\n")


def tum_rgbd(root: Path, r: Recording) -> None:
    """Colour every 33 ms, depth 5 ms later, poses every 10 ms; the last picture has no depth."""
    sequence = root / "rgbd_dataset_freiburg1_wall"
    colour, depth, truth = ["# color images"], ["# depth maps"], ["# timestamp tx ty tz qx qy qz qw"]
    for i in range(len(r)):
        stamp = 1305031102.175304 + 0.033 * i
        put(sequence / "rgb" / f"{stamp:.6f}.png", r.images[i])
        colour.append(f"{stamp:.6f} rgb/{stamp:.6f}.png")
        if i + 1 < len(r):
            put(
                sequence / "depth" / f"{stamp + 0.005:.6f}.png",
                (r.depth[i].astype(np.uint32) * 5 % 65536).astype(np.uint16),
            )
            depth.append(f"{stamp + 0.005:.6f} depth/{stamp + 0.005:.6f}.png")
        x, y, z, w = Rotation.from_matrix(r.poses[i, :3, :3]).as_quat()
        truth.append(f"{stamp - 0.002:.4f} {r.poses[i, 0, 3]:.4f} 0.0 0.0 {x:.4f} {y:.4f} {z:.4f} {w:.4f}")
    for name, lines in (("rgb", colour), ("depth", depth), ("groundtruth", truth)):
        put_text(sequence / f"{name}.txt", "\n".join(lines) + "\n")
    put_text(sequence / "K.txt", "50 50 31.5 23.5\n")


def nyuv2_folder(root: Path, r: Recording) -> None:
    for i in range(2):
        put(root / "images" / f"nyu_{i + 1:04d}.png", r.images[i])
        put(root / "labels13" / f"nyu_{i + 1:04d}.png", r.labels)


def scannet1500_loftr(root: Path, r: Recording) -> None:
    scene = root / "scene0707_00"
    for stem, i in ((15, 0), (585, 3)):
        put(scene / "color" / f"{stem}.jpg", r.images[i])
        put_matrix(scene / "pose" / f"{stem}.txt", r.poses[i])
    root.mkdir(exist_ok=True)
    np.savez(root / "test.npz", name=np.array([[707, 0, 15, 585]], np.uint16))
    np.savez(root / "intrinsics.npz", scene0707_00=K * [[10], [10], [1]])


def scannet1500_superglue(root: Path, r: Recording) -> None:
    names = [f"scans_test/scene0711_00/sens/frame-00{number}.color.jpg" for number in (1680, 1995)]
    for name, i in zip(names, (0, 3), strict=True):
        put(root / name, r.images[i])
    T_0to1 = np.linalg.inv(r.poses[3]) @ r.poses[0]
    numbers = [*K.reshape(-1), *K.reshape(-1), *T_0to1.reshape(-1)]
    put_text(root / "scannet_test_pairs_with_gt.txt", f"{names[0]} {names[1]} 0 0 {' '.join(map(str, numbers))}\n")


def posed_folder(root: Path, r: Recording) -> None:
    """Every second picture is there, of all poses."""
    for i in range(0, len(r), 2):
        put(root / "images" / f"{i:05d}.png", r.images[i])
        put(root / "depth" / f"{i:05d}.png", r.depth[i])
    put_text(root / "all_frame_names.txt", "".join(f"{i:05d}.png\n" for i in range(len(r))))
    put_text(root / "poses.txt", "".join(" ".join(f"{v:.18e}" for v in T.reshape(-1)) + "\n" for T in r.poses))
    put_matrix(root / "K.txt", K)


Writer = Callable[[Path, Recording], None]

# format -> writer, scene, frames that are read, unit of depth or None
LAYOUTS: dict[str, tuple[str, Writer, str, list[int], bool]] = {
    "scannet-lsm": ("scannet-lsm", scannet_lsm, "scene0000_00", [0, 1, 2, 3, 4, 5], True),
    "scannet-lsm-test": ("scannet-lsm-test", scannet_lsm_test, "scene0686_01", [0, 1, 2, 3, 4, 5], True),
    "scannetpp-lsm": ("scannetpp-lsm", scannetpp_lsm, "fb564c935d", [0, 1, 2, 3, 4, 5], True),
    "scannetpp-splatt3r": ("scannetpp-splatt3r", scannetpp_splatt3r, "aaaa000000", [0, 2, 3, 4, 5], True),
    "torch-chunks": ("torch-chunks", torch_chunks, "000db54a47bd43fe", [0, 1, 2, 3, 4, 5], False),
    "7-scenes": ("7-scenes", seven_scenes, "chess/seq-01", [0, 1, 2, 3, 4, 5], True),
    "tum-rgbd": ("tum-rgbd", tum_rgbd, "rgbd_dataset_freiburg1_wall", [0, 1, 2, 3, 4], True),
    "scannet-1500 (SuperGlue)": ("scannet-1500", scannet1500_superglue, "0001-scene0711_00", [0, 3], False),
    "posed-folder": ("posed-folder", posed_folder, "posed-folder", [0, 2, 4], True),
}
