"""Client of a kcolor SavedModel behind TF Serving, over gRPC or REST.

    python kcolor_client.py photo.jpg other.png -o colorized
    python kcolor_client.py photo.jpg -o colorized --rest --address localhost:8501

What is in the folder already is kept, unless --overwrite is given.

One file, to copy into a project. REST needs the standard library alone; gRPC needs
tensorflow-serving-api; Pillow is asked only to turn photographs upright.

What a reader would get wrong: TF Serving ignores the orientation that cameras note in
a JPEG, and its answer has no such note. `upright` turns the picture before it is sent.
"""

import argparse
import base64
import io
import json
import random
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

_BYTES = 7  # DT_STRING in TensorFlow's types.proto
_LARGEST_MESSAGE = 256 << 20
_RETRIED_HTTP = (429, 502, 503, 504)
_FIRST_PAUSE = 0.2


class ServingError(Exception):
    """The server could not be reached or refused the request."""


class PictureError(ServingError):
    """The server could not decode one picture; the others were answered.

    Attributes:
        answers: List of bytes as `Client.colorize` returns it, empty bytes at the
            pictures that failed.
    """

    def __init__(self, message, answers):
        """Takes the message and what was answered."""
        super().__init__(message)
        self.answers = answers


class Client:
    """Sends pictures to TF Serving; safe to share among threads."""

    def __init__(
        self,
        address="localhost:8500",
        *,
        rest=False,
        model="kcolor",
        version=None,
        timeout=60.0,
        retries=3,
    ):
        """Connects when the first request is sent.

        Args:
            address: `host:port`; TF Serving listens for gRPC at 8500, for REST at 8501.
            rest: Whether to use REST.
            model: Name of the model in the server's configuration.
            version: Version to ask for; None for the newest.
            timeout: Seconds that one call may take, repeated attempts included.
            retries: How often a request is repeated that the server was too busy for or
                that did not reach it.
        """
        self.address, self.model, self.version = address, model, version
        self.timeout, self.retries = timeout, retries
        self._send = self._send_rest if rest else self._send_grpc
        self._stub = None

    def colorize(self, pictures):
        """Colorizes encoded pictures of any and different sizes.

        Args:
            pictures: List of bytes, each a JPEG, PNG, BMP or GIF file.

        Returns:
            List of bytes in the same order, each a PNG or JPEG (as exported) of its
            picture's own size.

        Raises:
            PictureError: If some of them are no pictures.
            ServingError: If the server cannot be reached in time or refuses.
        """
        if not pictures:
            return []
        deadline = time.monotonic() + self.timeout
        answers = self._repeat(pictures, deadline)
        if len(answers) != len(pictures):
            raise ServingError(
                f"{self.address}: answered {len(answers)} pictures to {len(pictures)}"
            )
        failed = [str(i) for i, answer in enumerate(answers) if not answer]
        if failed:
            raise PictureError(
                f"{self.address}: cannot decode picture {', '.join(failed)} of the "
                f"request's {len(pictures)} (counted from 0)",
                answers,
            )
        return answers

    def _repeat(self, pictures, deadline):
        for attempt in range(self.retries + 1):
            left = deadline - time.monotonic()
            if left <= 0:
                raise ServingError(f"{self.address}: no answer in {self.timeout:g} s")
            try:
                return self._send(pictures, left)
            except _Busy as error:
                if attempt == self.retries:
                    raise ServingError(
                        f"{self.address}: {error} ({attempt + 1} attempts)"
                    ) from error
            # Twice as long each time, and at random, so that clients that were refused
            # together do not come back together.
            pause = _FIRST_PAUSE * 2**attempt * random.uniform(0.5, 1.0)
            time.sleep(max(0.0, min(pause, deadline - time.monotonic())))
        raise ServingError(f"{self.address}: no attempt was made")

    def _send_grpc(self, pictures, timeout):
        try:
            import grpc
            from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc
        except ModuleNotFoundError as error:
            raise ServingError(
                f"gRPC needs {error.name}: pip install tensorflow-serving-api, or use "
                "REST"
            ) from error
        if self._stub is None:
            limits = [
                ("grpc.max_send_message_length", _LARGEST_MESSAGE),
                ("grpc.max_receive_message_length", _LARGEST_MESSAGE),
            ]
            channel = grpc.insecure_channel(self.address, options=limits)
            self._stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        request = predict_pb2.PredictRequest()
        request.model_spec.name = self.model
        request.model_spec.signature_name = "serving_default"
        if self.version is not None:
            request.model_spec.version.value = self.version
        tensor = request.inputs["image_bytes"]
        tensor.dtype = _BYTES
        tensor.tensor_shape.dim.add().size = len(pictures)
        tensor.string_val.extend(pictures)
        try:
            answer = self._stub.Predict(request, timeout=timeout)
        except grpc.RpcError as error:
            code, details = error.code(), error.details()
            if code in (
                grpc.StatusCode.UNAVAILABLE,
                grpc.StatusCode.RESOURCE_EXHAUSTED,
            ):
                raise _Busy(f"{code.name}: {details}") from error
            if code == grpc.StatusCode.DEADLINE_EXCEEDED:
                raise ServingError(
                    f"{self.address}: no answer in {self.timeout:g} s"
                ) from error
            raise ServingError(f"{self.address}: {code.name}: {details}") from error
        return list(answer.outputs["colorized_bytes"].string_val)

    def _send_rest(self, pictures, timeout):
        version = "" if self.version is None else f"/versions/{self.version}"
        url = f"http://{self.address}/v1/models/{self.model}{version}:predict"
        instances = [
            {"image_bytes": {"b64": base64.b64encode(picture).decode()}}
            for picture in pictures
        ]
        body = {"signature_name": "serving_default", "instances": instances}
        request = urllib.request.Request(
            url,
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=timeout) as response:
                answer = json.load(response)
        except urllib.error.HTTPError as error:
            message = _http_message(error)
            if error.code in _RETRIED_HTTP:
                raise _Busy(message) from error
            raise ServingError(f"{self.address}: {message}") from error
        except TimeoutError as error:
            raise ServingError(
                f"{self.address}: no answer in {self.timeout:g} s"
            ) from error
        except ValueError as error:
            raise ServingError(f"{self.address}: answered no JSON ({error})") from error
        except OSError as error:
            # URLError is one; its reason is a timeout or what the socket said.
            reason = getattr(error, "reason", error)
            if isinstance(reason, TimeoutError):
                raise ServingError(
                    f"{self.address}: no answer in {self.timeout:g} s"
                ) from error
            raise _Busy(str(reason)) from error
        if "predictions" not in answer:
            raise ServingError(f"{self.address}: {answer.get('error', answer)}")
        return [base64.b64decode(entry["b64"]) for entry in answer["predictions"]]


class _Busy(Exception):
    """An attempt that is worth repeating."""


def _http_message(error):
    try:
        reason = json.load(error)["error"]
    except (ValueError, KeyError, TypeError):
        reason = error.reason
    return f"HTTP {error.code}: {reason}"


def upright(picture):
    """Turns a photograph as its camera noted.

    Args:
        picture: Bytes of a picture file.

    Returns:
        The same bytes; or, if the picture has to be turned, those of a PNG.
    """
    if b"Exif" not in picture[:4096]:
        return picture
    try:
        from PIL import Image, ImageOps, UnidentifiedImageError
    except ModuleNotFoundError as error:
        raise ServingError(
            "a photograph notes its orientation: pip install pillow"
        ) from error
    try:
        with Image.open(io.BytesIO(picture)) as image:
            if image.getexif().get(0x0112, 1) == 1:
                return picture
            turned = io.BytesIO()
            ImageOps.exif_transpose(image).save(turned, "PNG", compress_level=1)
    except (UnidentifiedImageError, OSError):
        return picture  # The server will say that it is none.
    return turned.getvalue()


def main(arguments=None):
    """Colorizes files; returns the exit code."""
    parser = argparse.ArgumentParser(description="Colorize files with TF Serving.")
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder")
    parser.add_argument("--address", help="host:port")
    parser.add_argument("--rest", action="store_true", help="REST instead of gRPC")
    parser.add_argument("--model", default="kcolor")
    parser.add_argument("--version", type=int)
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds a file")
    parser.add_argument("--retries", type=int, default=3)
    parser.add_argument(
        "--overwrite", action="store_true", help="replace results of earlier runs"
    )
    options = parser.parse_args(arguments)
    address = options.address or (
        "localhost:8501" if options.rest else "localhost:8500"
    )
    client = Client(
        address,
        rest=options.rest,
        model=options.model,
        version=options.version,
        timeout=options.timeout,
        retries=options.retries,
    )
    failed = 0
    sources = {}  # of this run's results, by the name that they have but for its suffix
    for file in options.files:
        stem = options.output / f"{file.stem}-color"
        if stem in sources:
            failed += 1
            print(
                f"{file}: {stem} is {sources[stem]}'s name; colorize them apart",
                file=sys.stderr,
            )
            continue
        # Both suffixes, since the server's answer alone says which it will be.
        taken = [t for t in map(Path, (f"{stem}.png", f"{stem}.jpg")) if t.exists()]
        if taken and not options.overwrite:
            failed += 1
            print(
                f"{file}: {taken[0]} exists; --overwrite replaces it", file=sys.stderr
            )
            continue
        try:
            options.output.mkdir(parents=True, exist_ok=True)
            answer = client.colorize([upright(file.read_bytes())])[0]
            kind = ".png" if answer.startswith(b"\x89PNG") else ".jpg"
            target = Path(f"{stem}{kind}")
            target.write_bytes(answer)
            sources[stem] = file
            print(target)
        except PictureError:
            failed += 1
            print(f"{file}: not a picture that the server can decode", file=sys.stderr)
        except (ServingError, OSError) as error:
            failed += 1
            print(f"{file}: {error}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
