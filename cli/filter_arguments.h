// The options of `log` and `relay` that say which events are meant.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "command_line.h"
#include "stele/read.h"

namespace stele::cli {

struct FilterArguments {
  std::optional<std::string> source, since, until, occurred_since, occurred_until, correlation, causation, actor,
      valid_at, tenant;
  std::vector<std::string> stream_types, event_types, attributes;
};

/// Returns --until, which not every command can do with.
CLI::Option* add_filter(CLI::App& command, FilterArguments& arguments);

/// Throws UsageError.
LogFilter filter_of(const FilterArguments& arguments);

}  // namespace stele::cli
