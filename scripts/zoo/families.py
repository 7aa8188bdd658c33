"""The models that stand for PaddleClas' families, one of each, the smallest that there is."""

from __future__ import annotations

from dataclasses import dataclass

JSON, PDMODEL = "json", "pdmodel"
FORMS = (JSON, PDMODEL)


@dataclass(frozen=True)
class ZooModel:
    """family: as the table calls it. name: PaddleClas' own. height, width: of its image, in pixels. pdmodel: whether it
    is tried in the older form as well. batch: the one that it is exported with, 0 for any: PaddleClas' code does not
    always take any."""

    family: str
    name: str
    height: int = 224
    width: int = 224
    pdmodel: bool = False
    batch: int = 0

    @property
    def forms(self) -> tuple[str, ...]:
        return FORMS if self.pdmodel else (JSON,)


MODELS = (
    ZooModel("Swin", "SwinTransformer_tiny_patch4_window7_224", pdmodel=True),
    ZooModel("LeViT", "LeViT_128S", pdmodel=True),
    ZooModel("TNT", "TNT_small", pdmodel=True),
    ZooModel("CvT", "CvT_13_224", pdmodel=True),
    ZooModel("MobileViTV3", "MobileViTV3_XXS", 256, 256),
    ZooModel("MicroNet", "MicroNet_M0"),
    ZooModel("RedNet", "RedNet26"),
    ZooModel("SwinV2", "SwinTransformerV2_tiny_patch4_window8_256", 256, 256),
    ZooModel("BEiTv2", "BEiTv2_vit_base_patch16_224"),
    ZooModel("CAE", "CAE_vit_base_patch16_224"),
    ZooModel("DSNet", "DSNet_tiny"),
    ZooModel("MobileViTV2", "MobileViTV2_x0_5", 256, 256, pdmodel=True, batch=1),
    ZooModel("MobileViTV3 x0.5", "MobileViTV3_x0_5", 256, 256, pdmodel=True, batch=1),
    ZooModel("SVTR", "SVTR_tiny", 48, 320),
    ZooModel("CSWin", "CSWinTransformer_tiny_224"),
    ZooModel("ConvNeXt (CNN)", "ConvNeXt_tiny"),
    ZooModel("MobileNetV4 hybrid", "MobileNetV4_hybrid_medium", 256, 256),
    ZooModel("MobileViT", "MobileViT_XXS", 256, 256, pdmodel=True),
    ZooModel("PVTv2", "PVT_V2_B0", pdmodel=True),
    ZooModel("Twins ALT-GVT", "alt_gvt_small", pdmodel=True),
    ZooModel("Twins PCPVT", "pcpvt_small"),
    ZooModel("NextViT", "NextViT_small_224"),
    ZooModel("UniFormer", "UniFormer_small"),
    ZooModel("DeiT distilled", "DeiT_tiny_distilled_patch16_224", pdmodel=True),
    ZooModel("DeiT", "DeiT_tiny_patch16_224"),
    ZooModel("ViT", "ViT_small_patch16_224"),
    ZooModel("ResNet50 (CNN)", "ResNet50", pdmodel=True),
    ZooModel("PP-HGNetV2 (CNN)", "PPHGNetV2_B0"),
    ZooModel("VAN (CNN)", "VAN_B0"),
    ZooModel("MobileNetV3 (CNN)", "MobileNetV3_small_x1_0"),
    ZooModel("MoCoV3", "MOCOV3_vit_small"),
    ZooModel("CLIP", "CLIP_vit_base_patch32_224"),
    ZooModel("MAE", "MAE_vit_base_patch16"),
    ZooModel("EVA", "EVA_vit_giant_patch14"),
)
