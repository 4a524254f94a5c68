#include "io/control_connection.h"

#include <poll.h>

#include <asio/buffer.hpp>
#include <asio/error.hpp>
#include <asio/post.hpp>
#include <utility>

namespace vsync::io {
namespace {

using Socket = asio::local::stream_protocol::socket;

constexpr std::size_t kKeep = std::size_t{64} << 10U;
constexpr std::chrono::milliseconds kGrace{1000};  // for the last words to a client that does not read

/// A client that shut down only its sending side still wants its replies.
bool hung_up(int socket) {
  pollfd entry{socket, 0, 0};
  return ::poll(&entry, 1, 0) == 1 && (entry.revents & (POLLHUP | POLLERR)) != 0;
}

}  // namespace

ControlConnection::ControlConnection(Socket socket, const ControlLimits& limits, Backlog& backlog, User& user)
    : socket_(std::move(socket)),
      expiry_(socket_.get_executor()),
      progress_(socket_.get_executor()),
      limits_(limits),
      backlog_(backlog),
      user_(&user) {}

// ---- input

/// Replies that are not read stop the requests that cause more of them.
bool ControlConnection::may_take() const {
  return !no_room_ && user_->wants_input() && output_.bytes() <= limits_.max_output() / 4;
}

/// A large frame that has its room is read to its end in any case: whether it comes is up to its client alone.
bool ControlConnection::may_read() const {
  return may_take() || (input_.keeps_share() && input_.unread().size() < wanted_);
}

void ControlConnection::read() {
  if (reading_ || input_ended_ || state_ != State::open) {
    return;
  }
  if (!may_read()) {
    stalled_ = true;
    return;
  }
  reading_ = true;
  const auto space = input_.space(wanted_);
  socket_.async_read_some(
      asio::buffer(space.data(), space.size()),
      [self = shared_from_this()](const std::error_code& error, std::size_t size) { self->on_read(error, size); });
}

void ControlConnection::on_read(const std::error_code& error, std::size_t size) {
  reading_ = false;
  if (state_ != State::open) {
    return;
  }
  if (error && error != asio::error::eof) {
    close();
    return;
  }
  input_.received(size);
  input_ended_ = error == asio::error::eof;
  process();
  if (input_ended_) {
    end_of_input();
  }
}

void ControlConnection::process() {
  const std::string_view bytes = input_.unread();
  if (encoding_ == Encoding::unknown && !bytes.empty()) {
    encoding_ = bytes.front() == '{' ? Encoding::json : Encoding::binary;
  }
  while (state_ == State::open && may_take() && (encoding_ == Encoding::json ? next_line() : next_frame())) {
  }
  if (state_ != State::closed) {
    user_->read_done();
  }
  read();
}

bool ControlConnection::next_frame() {
  const std::string_view bytes = input_.unread();
  if (bytes.size() < kFrameHead) {
    wanted_ = kFrameHead;
    return false;
  }
  const std::size_t length = frame_length(bytes);
  if (length > limits_.max_frame) {
    send_error(0, "too_large",
               "a frame of " + std::to_string(length) + " bytes, or no frame at all; " + std::to_string(limits_.max_frame) +
                   " are allowed");
    finish("what follows cannot be told apart");
    return false;
  }
  if (length > LargeFrames::kLarge && !input_.keeps_share() && !room_for(length)) {
    return false;
  }
  wanted_ = kFrameHead + length;
  if (bytes.size() < wanted_) {
    return false;
  }
  const Slice frame = input_.share(kFrameHead, length);
  input_.used(std::exchange(wanted_, 0));
  if (auto batch = parse_batch(frame)) {
    user_->batch(std::move(*batch));
  } else {
    take_request(frame.view());
  }
  return true;
}

/// False: it is not read on before there is room.
bool ControlConnection::room_for(std::size_t length) {
  auto share = backlog_.large.take(length, this, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) {
      self->no_room_ = false;
      self->stalled_ = true;
      self->resume();
    }
  });
  no_room_ = share == nullptr;
  if (share) {
    input_.keep(std::move(share));
    begun_ = std::chrono::steady_clock::now();
    watch_large_frame();
  }
  return !no_room_;
}

/// When more of the large frame must be here: at no time it may be further behind `large_frame_rate` than `large_frame_slack`.
std::chrono::steady_clock::time_point ControlConnection::large_frame_due() const {
  const std::chrono::milliseconds worth(input_.unread().size() * 1000 / limits_.large_frame_rate);
  return begun_ + limits_.large_frame_slack + worth;
}

/// Others wait for the room of a large frame that has begun, so it must go on.
void ControlConnection::watch_large_frame() {
  progress_.expires_at(large_frame_due());
  progress_.async_wait([self = shared_from_this()](const std::error_code& error) {
    const bool whole = self->input_.unread().size() >= self->wanted_;
    if (error || self->state_ != State::open || !self->input_.keeps_share() || whole) {
      return;
    }
    if (self->large_frame_due() > std::chrono::steady_clock::now()) {
      self->watch_large_frame();
    } else {
      self->finish("a frame of more than " + std::to_string(LargeFrames::kLarge) + " bytes was begun, and came too slowly");
    }
  });
}

bool ControlConnection::next_line() {
  const std::string_view bytes = input_.unread();
  std::size_t end = bytes.find('\n', scanned_);
  if (end == std::string_view::npos && input_ended_ && !bytes.empty()) {
    end = bytes.size();  // the last line needs no line end
  }
  if (end == std::string_view::npos ? bytes.size() > limits_.max_line : end > limits_.max_line) {
    send_error(0, "too_large", "a line of more than " + std::to_string(limits_.max_line) + " bytes");
    finish("what follows cannot be told apart");
    return false;
  }
  if (end == std::string_view::npos) {
    scanned_ = bytes.size();
    return false;
  }
  const Slice line = input_.share(0, end);
  input_.used(std::min(end + 1, bytes.size()));
  scanned_ = 0;
  if (line.view().find_first_not_of(" \t\r") != std::string_view::npos) {
    take_request(line.view());
  }
  return true;
}

void ControlConnection::take_request(std::string_view bytes) {
  if (const auto parsed = parse_request(bytes, encoding_, request_); !parsed) {
    send_error(request_.id(), "bad_request", parsed.error().message);
  } else if (request_.has_send_batch()) {
    user_->batch(take_batch(request_));
  } else {
    user_->request(request_);
  }
  if (bytes.size() > kKeep) {
    request_ = {};  // a large request must not keep its memory for ever
  }
}

void ControlConnection::end_of_input() {
  if (state_ != State::open) {
    return;
  }
  if (hung_up(socket_.native_handle()) || (user_->idle() && output_.bytes() == 0)) {
    close();
    return;
  }
  socket_.async_wait(Socket::wait_error, [self = shared_from_this()](const std::error_code& error) {
    if (!error) {
      self->close();
    }
  });
}

void ControlConnection::resume() {
  if (!std::exchange(stalled_, false)) {
    return;
  }
  asio::post(socket_.get_executor(), [self = shared_from_this()] {
    if (self->state_ == State::open) {
      self->process();
    }
  });
}

// ---- output

void ControlConnection::send(const pb::Reply& reply) {
  if (state_ == State::open && encoding_ != Encoding::unknown) {
    scratch_.clear();
    append_reply(scratch_, reply, encoding_);
    output_.append(scratch_);
    queued();
  }
}

void ControlConnection::send(const SharedFrame& frame, const FrameTag& tag) {
  if (state_ == State::open) {
    output_.append(frame.head, frame.body, tag);
    queued();
  }
}

void ControlConnection::send_error(std::uint64_t id, std::string_view code, std::string message) {
  pb::Reply reply;
  reply.set_id(id);
  reply.mutable_error()->set_code(code.data(), code.size());
  reply.mutable_error()->set_message(std::move(message));
  send(reply);
}

void ControlConnection::queued() {
  account();
  if (output_.bytes() > limits_.max_output()) {
    give_up("you do not read: more than " + std::to_string(limits_.max_output()) + " bytes are waiting for you");
  } else if (output_.messages() > limits_.max_output_messages) {
    give_up("you do not read: more than " + std::to_string(limits_.max_output_messages) + " messages are waiting for you");
  } else {
    user_->output_queued();
  }
}

std::pair<FrameTag, std::size_t> ControlConnection::drop(core::GroupId group) {
  auto dropped = output_.drop(group);
  account();
  return dropped;
}

void ControlConnection::account() {
  const std::size_t bytes = state_ == State::open ? output_.bytes() : 0;
  backlog_.bytes = backlog_.bytes - accounted_ + bytes;
  accounted_ = bytes;
}

void ControlConnection::push() {
  if (state_ == State::open) {
    static_cast<void>(output_.write(socket_.native_handle()));  // flush() finds what is wrong
    account();
  }
}

void ControlConnection::flush() {
  if (state_ == State::closed) {
    return;
  }
  const auto progress = output_.write(socket_.native_handle());
  account();
  const bool no_more = state_ == State::finishing || (input_ended_ && user_->idle());
  if (progress == OutputQueue::Progress::failed || (progress == OutputQueue::Progress::done && no_more)) {
    close();
  } else if (progress == OutputQueue::Progress::blocked && !waiting_) {
    waiting_ = true;
    socket_.async_wait(Socket::wait_write, [self = shared_from_this()](const std::error_code& error) {
      self->waiting_ = false;
      if (!error) {
        self->flush();
      }
    });
  }
  if (state_ == State::open) {
    user_->written(output_.bytes());
  }
  if (stalled_ && state_ == State::open && may_read()) {
    resume();
  }
}

// ---- end

void ControlConnection::finish(std::string why) {
  if (state_ != State::open) {
    return;
  }
  pb::Reply reply;
  reply.mutable_event()->mutable_closing()->set_why(std::move(why));
  if (encoding_ != Encoding::unknown) {
    scratch_.clear();
    append_reply(scratch_, reply, encoding_);
    output_.append(scratch_);
  }
  state_ = State::finishing;
  account();
  expire_after(kGrace);
  user_->output_queued();
}

void ControlConnection::give_up(std::string why) {
  if (state_ == State::open) {
    output_.drop_unwritten();
    user_->given_up(why);
    finish(std::move(why));
  }
}

void ControlConnection::expire_after(std::chrono::milliseconds time) {
  expiry_.expires_after(time);
  expiry_.async_wait([self = shared_from_this()](const std::error_code& error) {
    if (!error) {
      self->close();
    }
  });
}

void ControlConnection::close() {
  if (state_ == State::closed) {
    return;
  }
  state_ = State::closed;
  expiry_.cancel();
  progress_.cancel();
  backlog_.large.leave(this);
  std::error_code ignored;
  socket_.close(ignored);  // NOLINT(bugprone-unused-return-value): nothing can be done
  input_ = {};
  output_ = {};
  account();
  if (user_ != nullptr) {
    user_->closed();
  }
}

void ControlConnection::detach() {
  user_ = nullptr;
  close();
}

}  // namespace vsync::io
