// Runs a library that `omniforge export --to tvm` wrote, without Python: what a program on a device has to do.
// Usage: run_library LIBRARY INPUT OUTPUT SIZE...   (float32 values; the sizes are those of the input, the batch first)
#include <tvm/ffi/container/tensor.h>
#include <tvm/ffi/extra/module.h>

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <vector>

using tvm::ffi::Module;
using tvm::ffi::Shape;
using tvm::ffi::Tensor;

// Compiled kernels take it for granted that a tensor starts at a multiple of 64 bytes.
struct AlignedMemory {
  void AllocData(DLTensor* tensor) {
    size_t bytes = (tvm::ffi::GetDataSize(*tensor) + 63) / 64 * 64;
    tensor->data = std::aligned_alloc(64, bytes);
  }
  void FreeData(DLTensor* tensor) { std::free(tensor->data); }
};

int main(int count, char** words) {
  if (count < 6) {
    std::cerr << "usage: run_library LIBRARY INPUT OUTPUT SIZE..." << std::endl;
    return 2;
  }
  const DLDevice cpu{kDLCPU, 0};
  Module library = Module::LoadFromFile(words[1]);
  Module machine = library->GetFunction("vm_load_executable").value()().cast<Module>();
  constexpr int kPooled = 2;
  machine->GetFunction("vm_initialization").value()(static_cast<int>(kDLCPU), 0, kPooled);

  std::vector<int64_t> sizes;
  int64_t values = 1;
  for (int i = 4; i < count; ++i) {
    sizes.push_back(std::atoll(words[i]));
    values *= sizes.back();
  }
  Tensor input = Tensor::FromNDAlloc(AlignedMemory(), Shape(sizes), DLDataType{kDLFloat, 32, 1}, cpu);
  std::ifstream(words[2], std::ios::binary).read(static_cast<char*>(input.data_ptr()), values * sizeof(float));

  Tensor output = machine->GetFunction("main").value()(input).cast<Tensor>();
  int64_t results = 1;
  for (int i = 0; i < output.ndim(); ++i) results *= output.shape()[i];
  std::ofstream(words[3], std::ios::binary).write(static_cast<char*>(output.data_ptr()), results * sizeof(float));
  return 0;
}
