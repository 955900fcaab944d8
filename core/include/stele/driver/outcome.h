// How a command's outcome is kept in the database: one text for all backends.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "stele/append.h"

namespace stele::driver {

/// A JSON array with an object for each stream.
STELE_API std::string outcome_to_json(const std::vector<StreamOutcome>& outcome);

/// Reads it back. `tenant` is the command's. Throws corrupt for anything else.
STELE_API std::vector<StreamOutcome> outcome_from_json(std::string_view text, std::string_view tenant);

}  // namespace stele::driver
