"""Addresses of the published checkpoints of SAM and the backbones."""

from __future__ import annotations

from prosam.fetching.remote_file import RemoteFile

_SEGMENT_ANYTHING = "https://dl.fbaipublicfiles.com/segment_anything/"
_DINOV2 = "https://dl.fbaipublicfiles.com/dinov2/"
_TORCHVISION = "https://download.pytorch.org/models/"
_TIMM = "https://huggingface.co/timm/"
_APACHE = "Apache-2.0"
_DINOV3_LICENCE = (
    "the DINOv3 License, whose terms also bind what you make with the weights and pass on: "
    "https://ai.meta.com/resources/models-and-libraries/dinov3-license/"
)


def _of_timm(name: str) -> RemoteFile:
    """DINOv3's weights from timm's part of the hub, where every model's file is called `model.safetensors`.

    No digest of them could be looked up. The authors' own files need a signed address.
    """
    url = f"{_TIMM}{name}/resolve/main/model.safetensors"
    return RemoteFile(f"{name}.safetensors", (url,), licence=_DINOV3_LICENCE)


def _with_registers(name: str, size: int | None = None, sha256: str | None = None) -> RemoteFile:
    file = f"{name}_reg4_pretrain.pth"
    return RemoteFile(file, (f"{_DINOV2}{name}/{file}",), size=size, sha256=sha256, licence=_APACHE)


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

_SAM2 = "https://dl.fbaipublicfiles.com/segment_anything_2/092824/"
_SAM2_FILES = {  # the end of the file's name, its bytes and its SHA-256
    "sam2.1_t": ("tiny", 156_008_466, "7402e0d864fa82708a20fbd15bc84245c2f26dff0eb43a4b5b93452deb34be69"),
    "sam2.1_s": ("small", 184_416_285, "6d1aa6f30de5c92224f8172114de081d104bbd23dd9dc5c58996f0cad5dc4d38"),
    "sam2.1_b+": ("base_plus", 323_606_802, "a2345aede8715ab1d5d31b4a509fb160c5a4af1970f199d9054ccfb746c004c5"),
    "sam2.1_l": ("large", 898_083_611, "2647878d5dfa5098f2f8649825738a9345572bae2d4350a2468587ece47dd318"),
}
PUBLISHED_SAM |= {
    name: RemoteFile(
        f"sam2.1_hiera_{end}.pt", (f"{_SAM2}sam2.1_hiera_{end}.pt",), size=size, sha256=sha256, licence=_APACHE
    )
    for name, (end, size, sha256) in _SAM2_FILES.items()
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
    "dinov2-reg-vits14": _with_registers("dinov2_vits14"),
    "dinov2-reg-vitb14": _with_registers(
        "dinov2_vitb14", 346_393_545, "73182a088cf94833c94b1666d1c99e02fe87e2007bff57b564fb6206e25dba71"
    ),
    "dinov2-reg-vitl14": _with_registers("dinov2_vitl14"),
    "dinov3-vits16": _of_timm("vit_small_patch16_dinov3.lvd1689m"),
    "dinov3-vitb16": _of_timm("vit_base_patch16_dinov3.lvd1689m"),
    "dinov3-vitl16": _of_timm("vit_large_patch16_dinov3.lvd1689m"),
    "dinov3-convnext-tiny": _of_timm("convnext_tiny.dinov3_lvd1689m"),
    "dinov3-convnext-small": _of_timm("convnext_small.dinov3_lvd1689m"),
}
