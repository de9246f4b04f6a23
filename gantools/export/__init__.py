"""Trained models as one self-contained ONNX file each, and how such files are run.

    kinds     one file for each kind of model: its graph, its proof, its methods, what it says of itself
    bases     what kinds have in common: models of tables and of images, scorers and generators
    runtime   sessions, and what every exported model has
    columns   what each raw column is in a graph: its type, its levels, what a missing cell is
    modules   raw tensors to raw tensors, as torch modules
    compose   torch modules as graphs, and what is put around them: text levels, defaults, a branch
    graph     the graph of a trained model, and its description
    proof     what may differ between a file and the library, and by how much
    precision the same graph with nets in half precision or 8 bits
    file      all of this in order: build, prove, describe, write
    triton, mlflow, card   what else can be written from a file; `folders` writes it whole, `served` goes into a model
              folder of MLflow

Running a file, and what is written from it, do without torch.
"""
