#include "server/kserve/model_repository.h"

#include <array>
#include <optional>

#include "server/kserve/infer_parameters.h"
#include "server/kserve/model_spec.h"

namespace sf::server {
namespace {

struct Row {
  std::string version, state, reason;
};

// Nothing for a version that was never tried: it is as unknown here as one of another store.
std::optional<Row> row_of(const VersionStatus& status) {
  const std::string version = std::to_string(status.version);
  if (status.state == VersionState::kServed) return Row{version, kRepositoryReady, ""};
  if (status.state == VersionState::kLoading) return Row{version, kRepositoryLoading, ""};
  if (status.reason == kUnloadedReason) return Row{version, kRepositoryUnavailable, kUnloadedReason};
  if (!status.reason.empty()) {
    return Row{version, kRepositoryUnavailable,
               status.message.empty() ? status.reason : status.reason + ": " + status.message};
  }
  if (status.state == VersionState::kRetired) return Row{version, kRepositoryUnavailable, state_name(status.state)};
  return std::nullopt;
}

std::vector<Row> rows_of(const ModelAdmin& admin) {
  std::vector<Row> rows;
  bool says_so = !admin.is_unloaded();
  for (const VersionStatus& status : admin.versions()) {
    std::optional<Row> row = row_of(status);
    if (!row) continue;
    says_so = says_so || row->reason == kUnloadedReason || row->state == kRepositoryReady;
    rows.push_back(std::move(*row));
  }
  if (!says_so)
    rows.push_back({"", kRepositoryUnavailable, kUnloadedReason});  // the version that served is gone from the store
  if (rows.empty()) rows.push_back({"", kRepositoryUnavailable, "no version yet"});
  return rows;
}

ModelAdmin& admin_of(const Service& service) {
  ModelAdmin* const admin = service.admin();
  if (admin == nullptr) throw Error(Code::kNotFound, "this server has no versions");
  return *admin;
}

std::array<std::string, 2> names_of(const Service& service) {
  const std::string name = service.model_name();
  return {name, name + kStreamSuffix};
}

}  // namespace

std::vector<RepositoryEntry> repository_index(const Service& service, bool only_ready) {
  std::vector<RepositoryEntry> index;
  const std::vector<Row> rows = rows_of(admin_of(service));
  for (const std::string& name : names_of(service)) {
    for (const Row& row : rows) {
      if (!only_ready || row.state == kRepositoryReady) index.push_back({name, row.version, row.state, row.reason});
    }
  }
  return index;
}

int64_t change_repository(Service& service, RepositoryChange change, std::string_view model) {
  const auto [name, stream] = names_of(service);
  if (model != name && model != stream) throw unknown_model(name, stream);
  ModelAdmin& admin = admin_of(service);
  if (change == RepositoryChange::kLoad) return admin.load_newest();
  admin.unload();
  return 0;
}

void check_repository_parameter(RepositoryChange change, const std::string& name) {
  if (change == RepositoryChange::kUnload && name == kUnloadDependents) return;
  if (name == "config" || name.starts_with("file:")) {
    throw invalid_argument(excerpt(name), "parameters: ", excerpt(name),
                           ": a model comes from the store whole, its configuration and files cannot be given here");
  }
  throw invalid_argument(excerpt(name), "parameters: unknown parameter ", excerpt(name));
}

Error repository_is_admin() {
  return Error(
      Code::kPermissionDenied,
      "loading and unloading are for administrators: ask the management port (--admin-port), or a server with "
      "keys (--api-keys) with one of scope admin; new versions in the store are loaded without being asked for");
}

}  // namespace sf::server
