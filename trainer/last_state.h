// The last state of a run that was not published, because it scores below its parent: a checkpoint with its training
// state in a hidden folder of the store, which no server sees.
//
//   keep_last_state(store, [&](const std::filesystem::path& folder) { write_checkpoint(folder, content); });
//   if (const auto kept = find_last_state(store)) use(*kept);   // resume from it
//
// One thread at a time, and one process.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>

namespace sf {

// Effect: `write` fills a new folder, which then takes the place of any older last state. A kill at any moment leaves
// the old one or the new one. Errors: those of `write` and of the file system.
void keep_last_state(const std::filesystem::path& store,
                     const std::function<void(const std::filesystem::path& folder)>& write);

// The folder of the newest one; nothing where there is none.
std::optional<std::filesystem::path> find_last_state(const std::filesystem::path& store);

// Effect: removes it, since what is published is newer.
void forget_last_state(const std::filesystem::path& store);

}  // namespace sf
