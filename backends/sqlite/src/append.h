// One append inside a write transaction that others may share.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "session.h"
#include "stele/driver/driver.h"

namespace stele::sqlite {

/// What the appends of one write transaction know of the log's end. Nobody else can move it meanwhile.
class LogEnd {
 public:
  /// Inside a write transaction.
  explicit LogEnd(Session& session);

  Position next_position() noexcept { return Position(++last_position_); }
  /// The time of everything written in this transaction: the machine's clock, never before what is in the log already.
  Timestamp recorded_at() const noexcept { return recorded_at_; }

 private:
  std::int64_t last_position_;
  Timestamp recorded_at_;
};

/// Executes one append as driver::Driver::append() describes. Checks everything before it writes, so that every answer
/// but `appended` leaves the transaction untouched. When it throws, the transaction has to be rolled back.
AppendResult append_in_transaction(Session& session, LogEnd& log_end, const driver::PreparedAppend& append);

}  // namespace stele::sqlite
