#include "gzip_lines.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "stele/error.h"

namespace stele::detail {
namespace {

constexpr std::size_t buffer_bytes = std::size_t{64} << 10;
constexpr int gzip_format = 15 + 16;  // zlib's largest window, with gzip's header and trailer.

[[noreturn]] void fail_with(const std::string& path, int error_number) {
  Error::Details details;
  details.native_code = error_number;
  const ErrorCode code = error_number == ENOSPC || error_number == EDQUOT  ? ErrorCode::disk_full
                         : error_number == EACCES || error_number == EROFS ? ErrorCode::permission_denied
                                                                           : ErrorCode::io;
  throw Error(code, path + ": " + std::strerror(error_number), std::move(details));
}

class Descriptor {
 public:
  explicit Descriptor(int number) noexcept : number_(number) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  int number() const noexcept { return number_; }
  int close() noexcept { return ::close(std::exchange(number_, -1)); }

 private:
  int number_;
};

bool is_file_at(int descriptor, const std::string& path) {
  struct stat mine {};
  struct stat other {};
  return ::fstat(descriptor, &mine) == 0 && ::stat(path.c_str(), &other) == 0 && mine.st_dev == other.st_dev &&
         mine.st_ino == other.st_ino;
}

/// With symbolic links resolved, so that the file takes the place of what they point to.
std::string resolved(const std::string& path) {
  std::error_code error;
  const std::filesystem::path real = std::filesystem::weakly_canonical(path, error);
  const std::string name = error ? path : real.string();
  struct stat info {};
  if (::stat(name.c_str(), &info) == 0 && !S_ISREG(info.st_mode)) {
    throw Error(ErrorCode::invalid_argument, path + ": is there, and is no regular file");
  }
  return name;
}

/// Opens the part file as its only writer, taking over what a killed process left.
int open_part(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor < 0) fail_with(path, errno);
  // The second look is for a writer that renamed the file between our opening and locking it.
  const bool alone = ::flock(descriptor, LOCK_EX | LOCK_NB) == 0 && is_file_at(descriptor, path);
  if (alone && ::ftruncate(descriptor, 0) == 0) return descriptor;
  const int error_number = errno;
  ::close(descriptor);
  if (!alone) throw Error(ErrorCode::busy, path + ": is being written by another process");
  fail_with(path, error_number);
}

void sync_directory_of(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  const std::string directory = parent.empty() ? "." : parent;
  Descriptor descriptor(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (descriptor.number() < 0 || ::fsync(descriptor.number()) != 0) fail_with(directory, errno);
}

}  // namespace

// --- Writing

struct GzipLineWriter::State {
  explicit State(const std::string& to) : path(resolved(to)), part(path + ".part"), file(open_part(part)) {
    if (::deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, gzip_format, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
      if (file.number() >= 0) ::unlink(part.c_str());
      throw Error(ErrorCode::internal, "zlib cannot compress");
    }
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    ::deflateEnd(&stream);
    // While it is locked: nobody else's.
    if (!committed) ::unlink(part.c_str());
  }

  void put(std::string_view bytes, int flush) {
    // zlib does not write to its input; its C interface says so only when asked.
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    stream.avail_in = static_cast<uInt>(bytes.size());
    for (;;) {
      stream.next_out = buffer.data();
      stream.avail_out = static_cast<uInt>(buffer.size());
      const int result = ::deflate(&stream, flush);
      if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) {
        throw Error(ErrorCode::internal, "zlib cannot compress");
      }
      write(buffer.size() - stream.avail_out);
      if (flush == Z_FINISH ? result == Z_STREAM_END : stream.avail_out != 0) return;
    }
  }

  void write(std::size_t size) {
    for (std::size_t done = 0; done < size;) {
      const ssize_t written = ::write(file.number(), buffer.data() + done, size - done);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail_with(part, errno);
      done += static_cast<std::size_t>(written);
    }
  }

  std::string path;
  std::string part;
  Descriptor file;
  z_stream stream{};
  std::array<Bytef, buffer_bytes> buffer{};
  bool committed = false;
};

GzipLineWriter::GzipLineWriter(const std::string& path) : state_(std::make_unique<State>(path)) {}
GzipLineWriter::~GzipLineWriter() = default;

void GzipLineWriter::write_line(std::string_view line) {
  // In pieces: zlib counts in 32 bits.
  constexpr std::size_t piece = std::size_t{1} << 30;
  for (; line.size() > piece; line.remove_prefix(piece)) state_->put(line.substr(0, piece), Z_NO_FLUSH);
  state_->put(line, Z_NO_FLUSH);
  state_->put("\n", Z_NO_FLUSH);
}

void GzipLineWriter::commit() {
  State& to = *state_;
  to.put({}, Z_FINISH);
  if (::fsync(to.file.number()) != 0) fail_with(to.part, errno);
  if (::rename(to.part.c_str(), to.path.c_str()) != 0) fail_with(to.path, errno);
  to.committed = true;
  sync_directory_of(to.path);
  if (to.file.close() != 0) fail_with(to.path, errno);
}

// --- Reading

struct GzipLineReader::State {
  explicit State(const std::string& from) : path(from), file(::open(from.c_str(), O_RDONLY | O_CLOEXEC)) {
    struct stat info {};
    if (file.number() < 0 || ::fstat(file.number(), &info) != 0) {
      throw Error(ErrorCode::cannot_connect, path + ": " + std::strerror(errno));
    }
    if (S_ISDIR(info.st_mode)) throw Error(ErrorCode::cannot_connect, path + ": is a directory");
    if (::inflateInit2(&stream, gzip_format) != Z_OK) throw Error(ErrorCode::internal, "zlib cannot decompress");
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { ::inflateEnd(&stream); }

  /// More of the file; false at its end.
  bool fill() {
    for (;;) {
      const ssize_t size = ::read(file.number(), input.data(), input.size());
      if (size < 0 && errno == EINTR) continue;
      if (size < 0) fail_with(path, errno);
      stream.next_in = input.data();
      stream.avail_in = static_cast<uInt>(size);
      return size > 0;
    }
  }

  std::string path;
  Descriptor file;
  z_stream stream{};
  std::array<Bytef, buffer_bytes> input{};
  std::array<char, buffer_bytes> output{};
  std::string text;  // Decompressed, and not given yet from `begin` on.
  std::size_t begin = 0;
  std::size_t scanned = 0;  // Up to here there is no line end.
  std::int64_t line = 0;
  bool ended = false;
};

GzipLineReader::GzipLineReader(const std::string& path) : state_(std::make_unique<State>(path)) {}
GzipLineReader::~GzipLineReader() = default;

std::int64_t GzipLineReader::line_number() const noexcept {
  return state_->line;
}

void GzipLineReader::fail(const std::string& fault) const {
  throw Error(ErrorCode::corrupt, state_->path + ": line " + std::to_string(state_->line) + ": " + fault);
}

bool GzipLineReader::next(std::string_view& line) {
  State& from = *state_;
  ++from.line;
  for (;;) {
    const std::size_t end = from.text.find('\n', from.scanned);
    if (end != std::string::npos) {
      line = std::string_view(from.text).substr(from.begin, end - from.begin);
      from.begin = from.scanned = end + 1;
      return true;
    }
    from.text.erase(0, from.begin);
    from.begin = 0;
    from.scanned = from.text.size();
    if (from.text.size() > max_line_bytes) fail("is longer than " + std::to_string(max_line_bytes) + " bytes");
    if (from.ended) {
      if (!from.text.empty()) fail("does not end");
      return false;
    }
    if (from.stream.avail_in == 0 && !from.fill()) fail("the file is cut off here");
    from.stream.next_out = reinterpret_cast<Bytef*>(from.output.data());
    from.stream.avail_out = static_cast<uInt>(from.output.size());
    const int result = ::inflate(&from.stream, Z_NO_FLUSH);
    if (result == Z_MEM_ERROR) throw std::bad_alloc();
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) {
      const std::string why = from.stream.msg == nullptr ? "invalid data" : from.stream.msg;
      fail(from.stream.total_out == 0 && from.line == 1
               ? "the file is no archive: it is not compressed with gzip (" + why + ")"
               : "the file is damaged here, or shortly behind it (" + why + ")");
    }
    from.text.append(from.output.data(), from.output.size() - from.stream.avail_out);
    if (result == Z_STREAM_END) {
      from.ended = true;
      if (from.stream.avail_in != 0 || from.fill()) fail("something follows behind the end of the file's gzip data");
    }
  }
}

}  // namespace stele::detail
