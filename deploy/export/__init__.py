"""From a trained model to an ONNX file that predicts the same. Loaded module by module; nothing is imported here."""
