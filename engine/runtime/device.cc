#include "engine/runtime/device.h"

#include "engine/base/error.h"

namespace sf {

at::Device choose_device(const std::string& name) {
  if (name == "auto") return torch::cuda::is_available() ? at::Device(at::kCUDA, 0) : at::Device(at::kCPU);
  if (name == "cpu") return at::Device(at::kCPU);
  if (name.rfind("cuda", 0) == 0) {
    if (!torch::cuda::is_available())
      throw invalid_argument("device", "device: ", name, " was asked for, but there is no GPU");
    const std::string index = name.size() > 5 && name[4] == ':' ? name.substr(5) : "0";
    const bool digits =
        !index.empty() && index.size() < 4 && index.find_first_not_of("0123456789") == std::string::npos;
    if (digits && std::stoi(index) < static_cast<int>(torch::cuda::device_count())) {
      return at::Device(at::kCUDA, static_cast<at::DeviceIndex>(std::stoi(index)));
    }
  }
  throw invalid_argument("device", "device: must be auto, cpu, cuda or cuda:N of a GPU that exists, got ", name);
}

}  // namespace sf
