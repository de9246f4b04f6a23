"""Trained models as one self-contained ONNX file each, and how such files are run.

    columns   what each raw column is in a graph: its type, its levels, what a missing cell is
    modules   raw tensors to raw tensors, as torch modules
    graph     such a module as a file: traced, composed with text levels and the explanation, described
    proof     the file against the library, on real rows and images
    precision the same file with half-precision or 8-bit weights
    runtime   sessions, and exported models behind the methods of the library's own

Everything but `modules`, `graph` and `proof` runs without torch.
"""
