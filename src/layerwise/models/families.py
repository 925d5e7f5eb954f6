"""Families of networks: eight VGGs are not eight independent networks. Without torch: the workflow plans with it."""

MEMBERS: dict[str, tuple[str, ...]] = {
    "AlexNet": ("alexnet",),
    "VGG": ("vgg11", "vgg13", "vgg16", "vgg19", "vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn"),
    "SqueezeNet": ("squeezenet1_0", "squeezenet1_1"),
    "ResNet": (
        *("resnet18", "resnet34", "resnet50", "resnet101", "resnet152"),
        *("wide_resnet50_2", "wide_resnet101_2", "cafferesnet101", "fbresnet152"),
    ),
    "ResNeXt": ("resnext50_32x4d", "resnext101_32x4d", "resnext101_32x8d", "resnext101_64x4d"),
    "SENet": (
        *("se_resnet50", "se_resnet101", "se_resnet152"),
        *("se_resnext50_32x4d", "se_resnext101_32x4d", "senet154"),
    ),
    "DenseNet": ("densenet121", "densenet161", "densenet169", "densenet201"),
    "DPN": ("dpn68", "dpn68b", "dpn92", "dpn98", "dpn107", "dpn131"),
    "Inception": (
        *("googlenet", "bninception", "inception_v3", "inceptionv4"),
        *("inceptionresnetv2", "xception", "polynet"),
    ),
    "NASNet": ("nasnetamobile", "nasnetalarge", "pnasnet5large"),
    "mobile": ("mobilenet_v2", "mnasnet0_5", "mnasnet1_0", "shufflenet_v2_x0_5", "shufflenet_v2_x1_0"),
    "EfficientNet": (
        *("efficientnet_b0", "efficientnet_b1", "efficientnet_b2", "efficientnet_b3", "efficientnet_b4"),
        "tf_efficientnet_lite0",
    ),
    "CORnet": ("cornet_z", "cornet_r", "cornet_rt", "cornet_s"),
}
"""The networks of the registry, by what their blocks have in common."""

_FAMILIES = {member: family for family, members in MEMBERS.items() for member in members}


def family_of(name: str) -> str:
    """Return the family of a network of the registry; any other network is a family by itself."""
    return _FAMILIES.get(name, name)
