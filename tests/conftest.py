from tests.fixtures.data_dirs import data_root, held, layout

__all__ = ["data_root", "held", "layout"]
