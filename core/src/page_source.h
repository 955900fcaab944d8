// Where an EventReader's pages come from.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>

#include "stele/driver/driver.h"

namespace stele::detail {

/// Fetches the pages of one read. State moves on only when a page arrived whole, so a failed fetch can be repeated.
class PageSource {
 public:
  explicit PageSource(std::optional<std::uint64_t> limit) noexcept
      : left_(limit.value_or(std::numeric_limits<std::uint64_t>::max())) {}
  virtual ~PageSource() = default;
  PageSource(const PageSource&) = delete;
  PageSource& operator=(const PageSource&) = delete;

  const RecordedEvent* next();

 protected:
  /// Fills the cleared page.
  virtual void fetch(driver::PageLimits limits, driver::EventPage& page) = 0;
  /// Moves behind the page, which is not empty. Returns false when nothing can follow.
  virtual bool advance(const driver::EventPage& page) = 0;

 private:
  driver::EventPage page_;
  std::size_t at_ = 0;
  bool done_ = false;
  std::uint64_t left_;
  std::size_t page_events_ = 64;  // Doubles from page to page, so that short reads stay cheap.
};

}  // namespace stele::detail
