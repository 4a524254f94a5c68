// Messages on their way to the daemon: batched into frames, counted until their outcomes come.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "client/frame_socket.h"
#include "vsync/client.h"
#include "vsync/control/v1/control.pb.h"

namespace vsync {

/// Tickets rise by one per message; a batch's request id is the ticket of its first message.
class Outbox {
 public:
  explicit Outbox(std::size_t batch_bytes) : batch_bytes_(batch_bytes) {}

  /// Bytes that are charged until the outcome comes.
  [[nodiscard]] static std::size_t cost(std::string_view message) { return message.size() + 4; }

  Ticket add(FrameSocket& socket, std::string_view group, std::string_view message, const SendOptions& options);
  /// Closes the open batch: it becomes a frame of the socket's output.
  void close_batch(FrameSocket& socket);

  /// Settles `count` messages from `first`, in whatever order the outcomes come: what is in doubt at the daemon comes late (C6).
  /// Returns how many were unanswered: 0 for an answer nobody waits for.
  std::uint64_t settle(Ticket first, std::uint64_t count);
  /// Settles what is unanswered of the batch that started at `first` (refused as a whole).
  std::vector<Sent> refuse(Ticket first, const std::string& code);
  /// The connection is gone. What it had not taken whole cannot have been delivered. The rest is in doubt: its fate is unknown,
  /// or comes by resolve() if `keep`.
  std::vector<Sent> abandon(std::uint64_t written, bool keep);
  /// The fates of what is in doubt.
  std::vector<Sent> resolve(const control::v1::SessionReply& session);
  [[nodiscard]] bool in_doubt() const { return !batches_.empty() && batches_.front().doubtful; }
  /// The first ticket that is in no doubt.
  [[nodiscard]] Ticket first_of_connection() const;
  /// What was added since the last connection was lost has gone from the sink it was added to into another, behind `by` bytes.
  void moved(std::uint64_t by);

  [[nodiscard]] std::size_t unanswered_bytes() const { return bytes_; }
  [[nodiscard]] std::size_t unanswered_messages() const { return messages_; }
  [[nodiscard]] bool empty() const { return batches_.empty() && body_count_ == 0; }
  [[nodiscard]] bool has_open_batch() const { return body_count_ > 0; }

 private:
  /// What is unanswered of a batch, or one part of it when what lies between was answered first. Empty ones wait for those in
  /// front.
  struct Batch {
    Ticket first = 0;
    std::uint64_t count = 0;
    Ticket request = 0;     ///< the ticket that the whole one started at
    std::size_t bytes = 0;  ///< charged until all of it is answered
    std::uint64_t end = 0;  ///< of the whole one, in the connection's output
    bool doubtful = false;  ///< of an earlier connection
  };

  /// Makes a frame of `count` messages in `body`, which the message `last` ends when it was not copied.
  void append_frame(FrameSocket& socket, std::string_view body, std::string_view last, std::uint32_t count);
  [[nodiscard]] std::deque<Batch>::const_iterator find(Ticket ticket) const;
  void forget_settled();

  const std::size_t batch_bytes_;
  Ticket next_ = 1;
  std::deque<Batch> batches_;
  std::size_t bytes_ = 0;
  std::size_t messages_ = 0;

  std::string group_;  ///< of the open batch
  SendOptions options_;
  std::string body_;
  std::uint32_t body_count_ = 0;
};

}  // namespace vsync
