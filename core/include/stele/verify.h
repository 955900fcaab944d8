// Checking a store's invariants.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace stele {

/// One broken invariant.
struct Violation {
  std::string guarantee;  ///< "G2", or "storage" for what the database itself finds.
  std::string where;      ///< A stream, a position, a table.
  std::string what;
};

struct VerifyOptions {
  std::size_t max_violations = 100;  ///< Stop after so many.
  std::function<void(std::int64_t done, std::int64_t total)>
      on_progress;  ///< Events checked so far; called now and then.
};

struct VerifyReport {
  std::int64_t events = 0;          ///< Events looked at.
  std::int64_t streams = 0;         ///< Streams looked at.
  std::int64_t commands = 0;        ///< Commands looked at.
  std::vector<std::string> checks;  ///< What was checked, in words, one line each.
  std::vector<Violation> violations;
  bool ok() const noexcept { return violations.empty(); }
};

}  // namespace stele
