"""`CvBridge`: sensor_msgs images to NumPy arrays and back."""

import sys
from array import array

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from cv_bridge import encodings
from cv_bridge.color import convert
from cv_bridge.encodings import Encoding


class CvBridgeError(TypeError):
    """An image and its encoding do not fit, or the conversion asked for does not exist."""


class CvBridge:
    """Convert images; holds no state, so one object serves all threads."""

    def encoding_to_dtype_with_channels(self, encoding: str) -> tuple[str, int]:
        """Return the NumPy element type's name and the number of channels of an encoding.

        Raises:
            CvBridgeError: The encoding is not known.
        """
        parsed = _parse(encoding)
        return parsed.dtype.name, parsed.channels

    def imgmsg_to_cv2(self, img_msg: Image, desired_encoding: str = "passthrough") -> np.ndarray:
        """Convert an image message to an array.

        Args:
            img_msg: Any encoding of sensor_msgs except the planar ones (nv21, nv24).
            desired_encoding: Encoding wanted, or "passthrough" for the message's own.

        Returns:
            [H, W] or [H, W, C] in the encoding wanted. Without a conversion this is a view of the
            message's buffer.

        Raises:
            CvBridgeError: The encoding is not known, the buffer is too small for the size stated,
                or the conversion does not exist.
        """
        source = _parse(img_msg.encoding)
        image = _view(img_msg, source)
        if desired_encoding == "passthrough":
            return image
        try:
            return convert(image, source, _parse(desired_encoding))
        except (ValueError, cv2.error) as error:
            raise CvBridgeError(str(error)) from error

    def cv2_to_imgmsg(self, cvim: np.ndarray, encoding: str = "passthrough", header: Header | None = None) -> Image:
        """Convert an array to an image message.

        Args:
            cvim: [H, W] or [H, W, C].
            encoding: What the array is; "passthrough" names only its element type, e.g. "8UC3".
            header: Header of the message.

        Raises:
            TypeError: `cvim` is not an array.
            CvBridgeError: The array does not have the element type and channels of `encoding`.
        """
        if not isinstance(cvim, np.ndarray):
            raise TypeError("Your input type is not a numpy array")
        if cvim.ndim not in (2, 3):
            raise CvBridgeError(f"an image has 2 or 3 dimensions, not {cvim.ndim}")
        channels = 1 if cvim.ndim == 2 else cvim.shape[2]
        try:
            plain = encodings.opencv_name(cvim.dtype, channels)
        except ValueError as error:
            raise CvBridgeError(str(error)) from error
        if encoding != "passthrough":
            wanted = _parse(encoding)
            if encodings.opencv_name(wanted.dtype, wanted.channels) != plain:
                raise CvBridgeError(f"encoding specified as {encoding}, but image has incompatible type {plain}")
        message = Image()
        if header is not None:
            message.header = header
        message.height, message.width = cvim.shape[:2]
        message.encoding = plain if encoding == "passthrough" else encoding
        message.is_bigendian = int(_is_big_endian(cvim.dtype))
        message.step = cvim.shape[1] * channels * cvim.dtype.itemsize
        # An array passes rclpy without a check of each element; bytes do not.
        message.data = array("B", np.ascontiguousarray(cvim).tobytes())
        return message

    def compressed_imgmsg_to_cv2(
        self, cmprs_img_msg: CompressedImage, desired_encoding: str = "passthrough"
    ) -> np.ndarray:
        """Decode a compressed image message.

        Args:
            cmprs_img_msg: JPEG, PNG or anything else OpenCV reads.
            desired_encoding: Encoding wanted; "passthrough" for what the file holds (bgr8, bgra8,
                mono8 or mono16).

        Raises:
            CvBridgeError: The data are not an image, or the conversion does not exist.
        """
        buffer = np.frombuffer(cmprs_img_msg.data, dtype=np.uint8)
        image = cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED) if buffer.size else None
        if image is None:
            raise CvBridgeError(f"cannot decode {buffer.size} bytes of format [{cmprs_img_msg.format}]")
        if desired_encoding == "passthrough":
            return image
        channels = 1 if image.ndim == 2 else image.shape[2]
        colour = {1: "mono", 3: "bgr", 4: "bgra"}[channels]
        try:
            return convert(image, _parse(f"{colour}{8 * image.dtype.itemsize}"), _parse(desired_encoding))
        except (ValueError, cv2.error) as error:
            raise CvBridgeError(str(error)) from error

    def cv2_to_compressed_imgmsg(self, cvim: np.ndarray, dst_format: str = "jpg") -> CompressedImage:
        """Compress an array.

        Args:
            cvim: [H, W] or [H, W, C], channels in OpenCV's order (bgr).
            dst_format: File extension OpenCV can write: "jpg", "png", "tiff", ...

        Raises:
            TypeError: `cvim` is not an array.
            CvBridgeError: OpenCV cannot write it in this format.
        """
        if not isinstance(cvim, np.ndarray):
            raise TypeError("Your input type is not a numpy array")
        try:
            done, buffer = cv2.imencode("." + dst_format, cvim)
        except cv2.error as error:
            raise CvBridgeError(str(error)) from error
        if not done:
            raise CvBridgeError(f"cannot write an image of type {cvim.dtype} as {dst_format}")
        message = CompressedImage()
        message.format = dst_format
        message.data = array("B", buffer.tobytes())
        return message


def _parse(name: str) -> Encoding:
    """Look up an encoding, with cv_bridge's own error."""
    try:
        return encodings.parse(name)
    except ValueError as error:
        raise CvBridgeError(str(error)) from error


def _is_big_endian(dtype: np.dtype) -> bool:
    """Tell whether elements of this type are stored with the high byte first."""
    return dtype.byteorder == ">" or (dtype.byteorder == "=" and sys.byteorder == "big")


def _view(message: Image, encoding: Encoding) -> np.ndarray:
    """Return the pixels of a message without copying them: [H, W] or [H, W, C], native byte order."""
    row_bytes = message.width * encoding.channels * encoding.dtype.itemsize
    if message.step < row_bytes:
        raise CvBridgeError(
            f"step is {message.step}, but {message.width} pixels of [{encoding.name}] need {row_bytes} bytes"
        )
    # The last row may lack its padding.
    needed = message.step * (message.height - 1) + row_bytes if message.height else 0
    if len(message.data) < needed:
        raise CvBridgeError(
            f"data holds {len(message.data)} bytes, but {message.width}x{message.height} pixels of "
            f"[{encoding.name}] with step {message.step} need {needed}"
        )
    item = encoding.dtype.itemsize
    dtype = encoding.dtype.newbyteorder(">" if message.is_bigendian else "<")
    shape: tuple[int, ...] = (message.height, message.width)
    strides: tuple[int, ...] = (message.step, encoding.channels * item)
    if encoding.channels > 1:
        shape, strides = (*shape, encoding.channels), (*strides, item)
    image = np.ndarray(shape, dtype=dtype, buffer=memoryview(message.data), strides=strides)
    return image if dtype.isnative else image.astype(encoding.dtype)
