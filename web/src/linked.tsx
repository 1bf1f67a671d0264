/** Text, in which addresses can be followed and who is named stands out. All of it becomes text nodes, never HTML. */
export function Linked({ text }: { text: string }) {
  return text.split(/(\bhttps?:\/\/[^\s<>"]*[^\s<>".,:;!?)\]}'])/).map((part, i) => i % 2
    ? <a key={i} href={part} target="_blank" rel="noopener noreferrer nofollow">{part}</a>
    : <Named key={i} text={part} />)
}

function Named({ text }: { text: string }) {
  return text.split(/((?<![\p{L}\p{N}])@[\p{L}\p{N}_.-]*[\p{L}\p{N}])/u).map((part, i) =>
    i % 2 ? <span key={i} className="mention">{part}</span> : part)
}
