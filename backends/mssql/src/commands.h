// Looking commands up.
#pragma once

#include <optional>
#include <vector>

#include "session.h"
#include "stele/read.h"

namespace stele::mssql {

std::optional<CommandRecord> find_command(Session& session, const CommandKey& key);
std::optional<CommandRecord> find_command(Session& session, const Uuid& command_id);
std::vector<CommandRecord> list_commands(Session& session, const StreamKey& stream, std::size_t limit);

}  // namespace stele::mssql
