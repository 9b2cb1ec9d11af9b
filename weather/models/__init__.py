"""Architectures, one a file; `MODELS` names them."""

from common.app.registry import Registry

MODELS = Registry(
    "model",
    {
        "sfno": "weather.models.sfno:SFNO",
        "fno": "weather.models.fno:FNO",
        "unet": "weather.models.unet:UNet",
        "vit": "weather.models.vit:ViT",
        "mesh_gnn": "weather.models.mesh_gnn:MeshGNN",
    },
)
