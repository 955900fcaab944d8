#include <algorithm>

#include "page_source.h"
#include "stele/read.h"

namespace stele {

namespace detail {

namespace {
// A page is big enough to make a statement's fixed cost small, and small enough that reading stays flat in memory.
constexpr std::size_t max_page_events = 512;
constexpr std::size_t max_page_bytes = std::size_t{1} << 20;
}  // namespace

const RecordedEvent* PageSource::next() {
  if (at_ < page_.size()) return &page_[at_++];
  if (done_ || left_ == 0) return nullptr;
  at_ = 0;
  page_.clear();
  const auto events = static_cast<std::size_t>(std::min<std::uint64_t>(page_events_, left_));
  try {
    fetch({events, max_page_bytes}, page_);
  } catch (...) {
    page_.clear();
    throw;
  }
  page_events_ = std::min(page_events_ * 2, max_page_events);
  if (page_.size() == 0) {
    done_ = true;
    return nullptr;
  }
  left_ -= page_.size();
  done_ = page_.end || !advance(page_);
  return &page_[at_++];
}

}  // namespace detail

EventReader::EventReader(std::unique_ptr<detail::PageSource> source) noexcept : source_(std::move(source)) {}
EventReader::EventReader(EventReader&&) noexcept = default;
EventReader& EventReader::operator=(EventReader&&) noexcept = default;
EventReader::~EventReader() = default;

const RecordedEvent* EventReader::next() {
  return source_->next();
}

}  // namespace stele
