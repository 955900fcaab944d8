// What a named parameter in a projection's SQL stands for.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "sql_statement.h"
#include "stele/event.h"

namespace stele::cli {

/// Whether what is behind this name is JSON, into which a path may lead: `:data.lines.0.item`.
bool is_json_parameter(std::string_view name) noexcept;

/// Empty when there is no parameter of this name. A path leads through objects by name and through arrays by number;
/// where it leads nowhere the value is NULL. Of what it finds a text is its text, true and false are 1 and 0, a number
/// is a number (with all its digits as `decimals_as_text`, else as a double where it is no 64-bit integer), and an
/// object or array is JSON text.
std::function<SqlValue(const RecordedEvent&)> sql_parameter(const std::string& name, std::vector<std::string> path,
                                                            bool decimals_as_text);

}  // namespace stele::cli
