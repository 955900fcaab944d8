// One SQL statement of a projection's file: its named parameters, and running it for an event.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "stele/event.h"

namespace soci {
class session;
}

namespace stele::cli {

enum class SqlDialect : std::uint8_t { sqlite, postgres, mssql };

/// What is bound to a parameter; NULL is nothing.
using SqlValue = std::variant<std::monostate, std::int64_t, double, std::string>;

class SqlStatement {
 public:
  /// Finds the parameters, and leaves literals, quoted names and casts (`::`) alone. Comments are dropped. Throws
  /// std::invalid_argument that says what is wrong: a parameter that there is none of, more than one statement, one
  /// that ends the transaction, or what SOCI would misread.
  SqlStatement(std::string_view text, SqlDialect dialect);

  bool has_parameters() const noexcept { return !parameters_.empty(); }
  bool names_generation() const noexcept { return text_.find("{generation}") != std::string::npos; }

  /// Binds what the parameters stand for; `event` may be null if there are none. Throws soci::soci_error.
  void execute(soci::session& sql, std::int32_t generation, const RecordedEvent* event) const;

 private:
  std::string text_;                                                       // With :p1, :p2 …
  std::vector<std::function<SqlValue(const RecordedEvent&)>> parameters_;  // … of which this is the first.
};

}  // namespace stele::cli
