#include "line_reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "exit_codes.h"

namespace stele::cli {
namespace {

constexpr std::size_t chunk_bytes = 256 * 1024;

}  // namespace

LineReader::LineReader(const std::string& path)
    : name_(path == "-" ? "standard input" : path),
      descriptor_(path == "-" ? STDIN_FILENO : ::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
  struct stat info {};
  if (descriptor_ < 0 || ::fstat(descriptor_, &info) != 0) {
    throw CommandFailure(exit_failed, name_ + ": " + std::strerror(errno));
  }
  if (S_ISDIR(info.st_mode)) throw CommandFailure(exit_failed, name_ + ": is a directory");
  if (S_ISREG(info.st_mode)) bytes_total_ = info.st_size;
}

LineReader::~LineReader() {
  if (descriptor_ > STDERR_FILENO) ::close(descriptor_);
}

bool LineReader::fill() {
  if (at_end_) return false;
  if (begin_ > 0) {
    buffer_.erase(0, begin_);
    scanned_ -= begin_;
    begin_ = 0;
  }
  const std::size_t size = buffer_.size();
  buffer_.resize(size + chunk_bytes);
  ssize_t got = 0;
  do {
    got = ::read(descriptor_, buffer_.data() + size, chunk_bytes);
  } while (got < 0 && errno == EINTR);
  const int error_number = errno;
  buffer_.resize(size + static_cast<std::size_t>(got > 0 ? got : 0));
  if (got < 0) throw CommandFailure(exit_failed, name_ + ": cannot be read: " + std::strerror(error_number));
  if (got == 0) at_end_ = true;
  return got > 0;
}

LineReader::Found LineReader::next(std::string_view& line) {
  std::size_t end = std::string::npos;
  while ((end = buffer_.find('\n', scanned_)) == std::string::npos) {
    scanned_ = buffer_.size();
    if (scanned_ - begin_ > max_line_bytes) break;
    if (!fill()) break;
  }
  const bool unfinished = end == std::string::npos;
  if (unfinished) end = buffer_.size();
  if (unfinished && at_end_ && end == begin_) return Found::end;
  ++line_number_;
  if (end - begin_ > max_line_bytes) {
    scanned_ = begin_;
    return Found::too_long;
  }
  line = std::string_view(buffer_).substr(begin_, end - begin_);
  bytes_done_ += static_cast<std::int64_t>(line.size()) + (unfinished ? 0 : 1);
  begin_ = scanned_ = unfinished ? end : end + 1;
  return Found::line;
}

void LineReader::skip_line(FileWriter* copy) {
  for (;;) {
    const std::size_t end = buffer_.find('\n', begin_);
    const bool unfinished = end == std::string::npos;
    const std::string_view piece =
        std::string_view(buffer_).substr(begin_, (unfinished ? buffer_.size() : end + 1) - begin_);
    if (copy != nullptr) copy->write(piece);
    bytes_done_ += static_cast<std::int64_t>(piece.size());
    begin_ += piece.size();
    scanned_ = begin_;
    if (!unfinished) return;
    if (!fill()) break;
  }
  if (copy != nullptr) copy->write("\n");
}

bool LineReader::same_file_as(const std::string& path) const noexcept {
  struct stat mine {};
  struct stat other {};
  return ::fstat(descriptor_, &mine) == 0 && ::stat(path.c_str(), &other) == 0 && S_ISREG(mine.st_mode) &&
         mine.st_dev == other.st_dev && mine.st_ino == other.st_ino;
}

}  // namespace stele::cli
