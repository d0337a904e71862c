"""The networks, as Linen modules: backbones, necks and heads."""
