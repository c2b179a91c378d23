"""Addresses of the published checkpoints of SAM and the backbones."""

from __future__ import annotations

from prosam.fetching.remote_file import RemoteFile

_SEGMENT_ANYTHING = "https://dl.fbaipublicfiles.com/segment_anything/"
_DINOV2 = "https://dl.fbaipublicfiles.com/dinov2/"
_TORCHVISION = "https://download.pytorch.org/models/"

PUBLISHED_SAM: dict[str, RemoteFile] = {  # by architecture
    "vit_t": RemoteFile(
        "mobile_sam.pt",
        ("https://github.com/ChaoningZhang/MobileSAM/raw/master/weights/mobile_sam.pt",),
        size=40_728_226,
        md5="f3c0d8cda613564d499310dab6c812cd",
        sha256="6dbb90523a35330fedd7f1d3dfc66f995213d81b29a5ca8108dbcdd4e37d6c2f",
    ),
    "vit_b": RemoteFile(
        "sam_vit_b_01ec64.pth",
        (f"{_SEGMENT_ANYTHING}sam_vit_b_01ec64.pth",),
        size=375_042_383,
        md5="01ec64d29a2fca3f0661936605ae66f8",
        sha256="ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
    ),
    "vit_l": RemoteFile(
        "sam_vit_l_0b3195.pth",
        (f"{_SEGMENT_ANYTHING}sam_vit_l_0b3195.pth",),
        size=1_249_524_607,
        md5="0b3195507c641ddb6910d2bb5adee89c",
        sha256="3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
    ),
    "vit_h": RemoteFile(
        "sam_vit_h_4b8939.pth",
        (f"{_SEGMENT_ANYTHING}sam_vit_h_4b8939.pth",),
        size=2_564_550_879,
        md5="4b8939a88964f0f4ff5f5b2642c598a6",
        sha256="a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
    ),
}

_VGG16_BN = RemoteFile("vgg16_bn-6c64b313.pth", (f"{_TORCHVISION}vgg16_bn-6c64b313.pth",), sha256="6c64b313")

PUBLISHED_BACKBONES: dict[str, RemoteFile] = {  # by architecture; the deep stem's weights have no stable public address
    "resnet50": RemoteFile(
        "resnet50-0676ba61.pth", (f"{_TORCHVISION}resnet50-0676ba61.pth",), size=102_530_333, sha256="0676ba61"
    ),
    "vgg16-bn": _VGG16_BN,
    "vgg16-bn-vrp-sam": _VGG16_BN,
    "dinov2-vits14": RemoteFile(
        "dinov2_vits14_pretrain.pth",
        (f"{_DINOV2}dinov2_vits14/dinov2_vits14_pretrain.pth",),
        size=88_283_115,
        sha256="b938bf1bc15cd2ec0feacfe3a1bb553fe8ea9ca46a7e1d8d00217f29aef60cd9",
    ),
    "dinov2-vitb14": RemoteFile(
        "dinov2_vitb14_pretrain.pth",
        (f"{_DINOV2}dinov2_vitb14/dinov2_vitb14_pretrain.pth",),
        size=346_378_731,
        sha256="0b8b82f85de91b424aded121c7e1dcc2b7bc6d0adeea651bf73a13307fad8c73",
    ),
    "dinov2-vitl14": RemoteFile(
        "dinov2_vitl14_pretrain.pth",
        (f"{_DINOV2}dinov2_vitl14/dinov2_vitl14_pretrain.pth",),
        size=1_217_586_395,
        sha256="d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428",
    ),
}
