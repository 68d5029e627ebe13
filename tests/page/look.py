"""Whether the texts of the page have enough contrast."""

# All texts with less contrast to their background than WCAG 2.2 requires at level AA (1.4.3): 4.5, or 3 for large text.
# Backgrounds of this page are either opaque or absent.
FAINT = """(() => {
    const light = (color) => {
        const [r, g, b] = color.match(/[\\d.]+/g).map(Number).map((part) => part / 255).map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (node) => {
        for (; node; node = node.parentElement) {
            const color = getComputedStyle(node).backgroundColor;
            if (color !== "rgba(0, 0, 0, 0)" && color !== "transparent") return color;
        }
        return "rgb(255, 255, 255)";
    };
    const faint = [], texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    let seen = 0;
    while (texts.nextNode()) {
        const node = texts.currentNode.parentElement;
        if (!texts.currentNode.data.trim() || !node.getClientRects().length || ["SCRIPT", "title"].includes(node.tagName)) continue;
        const style = getComputedStyle(node), own = light(node instanceof SVGElement ? style.fill : style.color), under = light(behind(node));
        const ratio = (Math.max(own, under) + 0.05) / (Math.min(own, under) + 0.05);
        const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
        seen += 1;
        if (ratio < (large ? 3 : 4.5)) faint.push(`${ratio.toFixed(2)} ${texts.currentNode.data.trim().slice(0, 40)}`);
    }
    return seen > 300 ? faint : ["too few texts were looked at"];
})()"""
