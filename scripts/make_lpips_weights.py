"""Writes the LPIPS weights file that kcolor reads, from the official `lpips` package.

    pip install lpips            (brings PyTorch; torchvision downloads the network)
    python scripts/make_lpips_weights.py        SqueezeNet's, to the user's cache
    python scripts/make_lpips_weights.py --backbone alex -o lpips_alex.safetensors

AlexNet's, the ones that published figures use, come with kcolor (as float16).
Before the file is put in place, kcolor's LPIPS is run on it and compared with the
package's own on random pictures.
"""

import argparse
import re
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from kcolor.files import replacing
from kcolor.metrics.lpips import BACKBONES, build_lpips, usual_weights


def convert(state):
    """Renames the package's parameters to torchvision's names.

    Args:
        state: Dict of the package's names to arrays.

    Returns:
        Dict of `features.*` and `lin*.weight` to arrays.
    """
    tensors = {}
    for name, value in state.items():
        # Slices keep torchvision's numbers: net.slice2.3.weight is features.3.weight.
        trunk = re.fullmatch(r"net\.slice\d+\.(\d+\..*)", name)
        linear = re.fullmatch(r"lin(\d+)\.model\.\d+\.weight", name)
        if trunk:
            tensors[f"features.{trunk[1]}"] = value
        elif linear:
            tensors[f"lin{linear[1]}.weight"] = value
    return tensors


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", choices=BACKBONES, default="squeeze")
    parser.add_argument("-o", "--output", type=Path, help="default: the user's cache")
    parser.add_argument(
        "--dtype",
        choices=("float32", "float16"),
        default="float32",
        help="float16 halves the file and moves distances by about 1e-5",
    )
    arguments = parser.parse_args()
    if arguments.backbone == "alex" and not arguments.output:
        parser.error("--backbone alex needs -o: kcolor's own file stays as it is")
    try:
        import lpips
        import torch
    except ModuleNotFoundError as error:
        sys.exit(f"{error.name} is not installed. Install it with: pip install lpips")

    try:
        official = lpips.LPIPS(net=arguments.backbone, version="0.1").eval()
    except OSError as error:
        sys.exit(f"torchvision could not download the network: {error}")
    state = {name: value.numpy() for name, value in official.state_dict().items()}
    output = arguments.output or usual_weights(arguments.backbone)
    output.parent.mkdir(parents=True, exist_ok=True)
    with replacing(output) as temporary:
        tensors = convert(state)
        save_file(
            {name: value.astype(arguments.dtype) for name, value in tensors.items()},
            temporary,
        )
        pictures = np.random.default_rng(0).random((2, 3, 96, 80, 3), "float32")
        ours = np.asarray(
            build_lpips(temporary, arguments.backbone)(list(pictures))
        ).ravel()
        with torch.no_grad():
            theirs = official(
                *(torch.from_numpy(x.transpose(0, 3, 1, 2) * 2 - 1) for x in pictures)
            )
        difference = float(np.abs(ours - theirs.numpy().ravel()).max())
        if difference > 1e-3:
            sys.exit(f"kcolor's LPIPS differs from the package's by {difference:.2g}")
    print(
        f"{output}: {output.stat().st_size / 1e6:.1f} MB, differs by {difference:.1g}"
    )


if __name__ == "__main__":
    main()
