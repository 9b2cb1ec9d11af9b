"""Architectures, one a file; `MODELS` names them."""

from common.app.registry import Registry

MODELS = Registry(
    "model",
    {
        "cgcnn": "materials.models.cgcnn:CGCNN",
        "residual_cgcnn": "materials.models.residual_cgcnn:ResidualCGCNN",
        "edge_network": "materials.models.edge_network:EdgeNetwork",
        "tensornet_property": "materials.models.tensornet_property:TensorNetProperty",
        "element_attention": "materials.models.element_attention:ElementAttention",
        "dmpnn": "materials.models.dmpnn:DMPNN",
        "attentive_fp": "materials.models.molecular_gnn:AttentiveFP",
        "gin": "materials.models.molecular_gnn:GIN",
    },
)
