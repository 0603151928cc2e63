"""What tests of the encoders agree on."""

# Channels of P1..P5.
CHANNELS = {
    "resnet18": (64, 64, 128, 256, 512),
    "resnet34": (64, 64, 128, 256, 512),
    "resnet50": (64, 256, 512, 1024, 2048),
    "resnet101": (64, 256, 512, 1024, 2048),
    "resnet152": (64, 256, 512, 1024, 2048),
    "resnet50v2": (64, 64, 128, 256, 2048),
    "resnet101v2": (64, 64, 128, 256, 2048),
    "resnet152v2": (64, 64, 128, 256, 2048),
    "mobilenet_v2": (16, 24, 32, 96, 320),
    "efficientnet_lite0": (16, 24, 40, 112, 320),
    "efficientnet_lite2": (16, 24, 48, 120, 352),
}
