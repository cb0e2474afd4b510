// ModelAdmin of a reloader and its slot.
//
//   VersionAdmin admin(reloader, slot);
//   AnswerService service({}, {.slot = &slot, .admin = &admin, ...});
//
// Thread-safe.
#pragma once

#include "server/service/model_admin.h"
#include "server/versions/reloader.h"

namespace sf::server {

// Thread-safe.
class VersionAdmin final : public ModelAdmin {
 public:
  // REQUIRES: both outlive this.
  VersionAdmin(Reloader& reloader, const ModelSlot& slot) : reloader_(reloader), slot_(slot) {}

  std::vector<VersionStatus> versions() const override { return reloader_.list(); }
  std::optional<ExpertLoads> expert_loads() const override;
  int64_t load(int64_t version) override;
  int64_t pin(int64_t version) override;
  int64_t unpin() override;
  int64_t rollback() override { return reloader_.rollback(); }
  int64_t load_newest() override { return reloader_.load_newest(); }
  void unload() override { reloader_.unload(); }
  bool is_unloaded() const override { return reloader_.is_unloaded(); }

 private:
  Reloader& reloader_;
  const ModelSlot& slot_;
};

}  // namespace sf::server
